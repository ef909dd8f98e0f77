"""Many likes of one post: exact counts, few transactions, one announcement."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from harness.waiting import wait_until
from tests.support.mail_folder import list_announcements
from tests.support.processes import START_TIMEOUT_SECONDS
from tests.support.scenario import WorkerScenario

pytestmark = [pytest.mark.service, pytest.mark.slow]
ANNOUNCE_SECONDS = 2.0
LIKE_COUNT = 10_000


def list_messages(scenario: WorkerScenario, owner: str) -> list[tuple[object, ...]]:
    announcements = list_announcements(scenario.engine, owner)
    return [(payload["message"], payload["metadata"]["newCount"]) for payload in announcements]


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


def test_eight_likes_become_three_toasts_at_once_and_one_after_the_window(
    scenario: WorkerScenario, long_windows: None
) -> None:
    scenario.assert_consistent_when_idle()
    owner, *users = scenario.create_users(9)
    post = scenario.create_post(owner)
    scenario.set_like(users[0], post, is_on=True)
    wait_until(
        lambda: list_messages(scenario, owner),
        "the first toast",
        START_TIMEOUT_SECONDS,
    )
    scenario.set_like(users[0], post, is_on=False)
    scenario.assert_consistent_when_idle()
    post = scenario.create_post(owner)
    count_before = len(list_messages(scenario, owner))

    for user_id in users:
        scenario.set_like(user_id, post, is_on=True)

    wait_until(
        lambda: len(list_messages(scenario, owner)) == count_before + 3, "three toasts", ANNOUNCE_SECONDS
    )
    assert scenario.services.memberships.get_like_counts_and_states(None, [post])[post][0] == 8
    assert scenario.query("select count(*) from active_likes where post_id = :p", p=post) == [(3,)]

    wait_until(
        lambda: len(list_messages(scenario, owner)) == count_before + 4,
        "the announcement at the end of the window",
        15,
    )
    (message, new_count) = list_messages(scenario, owner)[-1]
    assert str(message).endswith("and 7 others liked your post")
    assert new_count == 5
    likes_per_transaction = scenario.query(
        "select count(*) from likes where post_id = :p group by xmin::text order by 1 desc", p=post
    )
    assert likes_per_transaction[0] == (5,)
    assert scenario.query(
        "select n.actor_count, count(a.actor_id) from notifications n join notification_actors a "
        "on a.notification_id = n.id where n.object_id = :p group by n.id",
        p=post,
    ) == [(8, 8)]
    scenario.assert_consistent_when_idle()


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
    assert scenario.services.memberships.get_like_counts_and_states(None, [post])[post][0] == LIKE_COUNT

    scenario.assert_consistent_when_idle()
    assert scenario.query("select like_count from posts where id = :p", p=post) == [(LIKE_COUNT,)]
    assert scenario.query("select count(*) from active_likes where post_id = :p", p=post) == [(LIKE_COUNT,)]
    assert scenario.query("select actor_count from notifications where object_id = :p", p=post) == [
        (LIKE_COUNT,)
    ]
    assert count_transactions(scenario, post) <= 10


@pytest.mark.drill
def test_two_aggregators_and_two_flushers_give_the_same_result(scenario: WorkerScenario) -> None:
    extra_workers = [
        scenario.processes.start_extra("aggregator"),
        scenario.processes.start_extra("flusher"),
    ]
    try:
        users = scenario.create_users(40)
        posts = [scenario.create_post(owner) for owner in users[:5]]
        wait_until(
            lambda: all(map(scenario.processes.has_heartbeat, extra_workers)),
            "the first heartbeats",
            START_TIMEOUT_SECONDS,
        )
        with ThreadPoolExecutor(10) as pool:
            for post in posts:
                list(pool.map(lambda user_id, post=post: scenario.set_like(user_id, post, True), users))
            list(pool.map(lambda user_id: scenario.set_like(user_id, posts[0], False), users[::3]))
        scenario.assert_consistent_when_idle()
    finally:
        for worker in extra_workers:
            worker.stop_gracefully()
    scenario.assert_consistent_when_idle()
