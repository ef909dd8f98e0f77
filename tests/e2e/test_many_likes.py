"""Many likes of one post: exact counts, few transactions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from tests.support.post_counts import read_likes
from tests.support.scenario import WorkerScenario

pytestmark = [pytest.mark.service, pytest.mark.slow]
LIKE_COUNT = 10_000


def count_transactions(scenario: WorkerScenario, post: str) -> int:
    """Number of transactions that wrote the likes of a post."""
    statement = "select count(distinct xmin::text) from likes where post_id = :post"
    return int(str(scenario.query(statement, post=post)[0][0]))


@pytest.fixture
def long_windows(scenario: WorkerScenario) -> Iterator[None]:
    """Long enough that a slow machine does not spread the likes over many windows."""
    scenario.processes.restart("aggregator", AGGREGATION_WINDOW_SECONDS="6", AGGREGATION_JITTER_SECONDS="0")
    yield
    scenario.processes.restart("aggregator")


def test_ten_thousand_likes_are_exact_everywhere_in_few_transactions(
    scenario: WorkerScenario, long_windows: None
) -> None:
    (owner,) = scenario.create_users(1)
    post = scenario.create_post(owner)
    with scenario.engine.begin() as sql:
        users = list(
            sql.execute(
                text(
                    "insert into users (id, email, username) select i, i::text, left(i::text, 60) "
                    "from (select uuidv7() as i from generate_series(1, :many)) n "
                    "returning id::text"
                ),
                {"many": LIKE_COUNT},
            ).scalars()
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda user_id: scenario.set_like(user_id, post, is_on=True), users))
    assert read_likes(scenario.services.memberships, None, post)[0] == LIKE_COUNT

    scenario.assert_consistent_when_idle()
    assert scenario.query("select like_count from posts where id = :p", p=post) == [(LIKE_COUNT,)]
    assert scenario.query("select count(*) from active_likes where post_id = :p", p=post) == [(LIKE_COUNT,)]
    assert scenario.query("select actor_count from notifications where object_id = :p", p=post) == [
        (LIKE_COUNT,)
    ]
    assert count_transactions(scenario, post) <= 10
