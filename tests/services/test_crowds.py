"""Many people at one post: exact counts, few transactions, one line."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from tests.inbox import announced
from tests.services.crew import START_SECONDS, until
from tests.services.stage import Stage

pytestmark = [pytest.mark.service, pytest.mark.slow]
SOON = 2.0
CROWD = 10_000


def lines(stage: Stage, owner: str) -> list[tuple[object, ...]]:
    told = announced(stage.engine, owner)
    return [(frame["message"], frame["metadata"]["newCount"]) for frame in told]


def transactions(stage: Stage, post: str) -> int:
    """How many of them wrote the likes of a post."""
    statement = "select count(distinct xmin::text) from likes where post_id = :post"
    return int(str(stage.rows(statement, post=post)[0][0]))


@pytest.fixture
def long_windows(stage: Stage) -> Iterator[None]:
    """So long that slow machines do not spread a crowd over many."""
    stage.crew.replace("aggregator", AGGREGATION_WINDOW_SECONDS="6", AGGREGATION_JITTER_SECONDS="0")
    yield
    stage.crew.replace("aggregator")


def test_eight_people_become_three_toasts_at_once_and_one_line_after_the_window(
    stage: Stage, long_windows: None
) -> None:
    stage.come_to_rest()
    owner, *crowd = stage.people(9)
    post = stage.post(owner)
    stage.wish(crowd[0], post, on=True)
    until(
        lambda: lines(stage, owner),
        START_SECONDS,
        "the first toast",
    )
    stage.wish(crowd[0], post, on=False)
    stage.come_to_rest()
    post = stage.post(owner)
    told = len(lines(stage, owner))

    for person in crowd:
        stage.wish(person, post, on=True)

    until(lambda: len(lines(stage, owner)) == told + 3, SOON, "three toasts")
    assert stage.parts.memberships.likes_of(None, [post])[post][0] == 8
    assert stage.rows("select count(*) from active_likes where post_id = :p", p=post) == [(3,)]

    until(lambda: len(lines(stage, owner)) == told + 4, 15, "the closing line")
    (line, new) = lines(stage, owner)[-1]
    assert str(line).endswith("and 7 others liked your post")
    assert new == 5
    late = stage.rows(
        "select count(*) from likes where post_id = :p group by xmin::text order by 1 desc", p=post
    )
    assert late[0] == (5,)
    assert stage.rows(
        "select n.actor_count, count(a.actor_id) from notifications n join notification_actors a "
        "on a.notification_id = n.id where n.object_id = :p group by n.id",
        p=post,
    ) == [(8, 8)]
    stage.come_to_rest()


def test_ten_thousand_likes_are_exact_everywhere_in_a_handful_of_transactions(
    stage: Stage, long_windows: None
) -> None:
    (owner,) = stage.people(1)
    post = stage.post(owner)
    with stage.engine.begin() as sql:
        crowd = list(
            sql.execute(
                text(
                    "insert into users (id, email, username) select i, i::text, left(i::text, 60) "
                    "from (select uuidv7() as i from generate_series(1, :many)) n "
                    "returning id::text"
                ),
                {"many": CROWD},
            ).scalars()
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: stage.wish(person, post, on=True), crowd))
    assert stage.parts.memberships.likes_of(None, [post])[post][0] == CROWD

    stage.come_to_rest()
    assert stage.rows("select like_count from posts where id = :p", p=post) == [(CROWD,)]
    assert stage.rows("select count(*) from active_likes where post_id = :p", p=post) == [(CROWD,)]
    assert stage.rows("select actor_count from notifications where object_id = :p", p=post) == [
        (CROWD,)
    ]
    assert transactions(stage, post) <= 10


def test_two_aggregators_and_two_flushers_at_once_change_nothing(stage: Stage) -> None:
    second = [stage.crew.start("aggregator"), stage.crew.start("flusher")]
    try:
        crowd = stage.people(40)
        posts = [stage.post(owner) for owner in crowd[:5]]
        until(lambda: all(map(stage.crew.lives, second)), START_SECONDS, "the second pair")
        with ThreadPoolExecutor(10) as pool:
            for post in posts:
                list(pool.map(lambda person, post=post: stage.wish(person, post, True), crowd))
            list(pool.map(lambda person: stage.wish(person, posts[0], False), crowd[::3]))
        stage.come_to_rest()
    finally:
        for one in second:
            one.stop()
    stage.come_to_rest()
