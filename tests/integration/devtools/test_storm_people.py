"""The author of a storm is removed after it, also when somebody else is faster."""

import time

import pytest
import redis
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.devtools.storm import people
from app.domain.clock import TimeAndIdSource
from app.social.removals import PostAndAccountRemoval

pytestmark = pytest.mark.service


class _SecondDeletion(PostAndAccountRemoval):
    """Deletes an account that was deleted since it was found."""

    def delete_account(self, user_id: str) -> None:
        super().delete_account(user_id)
        super().delete_account(user_id)


def test_author_that_is_deleted_meanwhile_does_not_end_the_removal(
    engine: Engine, real_redis: redis.Redis
) -> None:
    for _ in range(2):
        people.create_author(engine, 2)

    people.remove_authors(engine, _SecondDeletion(engine, real_redis, TimeAndIdSource(time.time, new_id)))

    with engine.connect() as conn:
        assert conn.execute(text("select count(*) from posts")).scalar_one() == 0
        assert (
            conn.execute(text("select count(*) from users where username like 'storm-author-%'")).scalar()
            == 0
        )
