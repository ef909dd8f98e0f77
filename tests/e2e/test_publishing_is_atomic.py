"""A web process is killed between any two lines of publishing: either the post exists and everybody hears of
it, or it does not exist (P14)."""

import pytest
from urllib3.exceptions import HTTPError

from tests.support.http_client import register_client
from tests.support.scenario import WorkerScenario

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.mark.parametrize(
    ("failpoint", "exists"),
    [("web.post_inserted", False), ("web.post_before_commit", False), ("web.post_committed", True)],
)
def test_post_of_a_killed_web_process_is_announced_or_does_not_exist(
    scenario: WorkerScenario, failpoint: str, exists: bool
) -> None:
    web = scenario.processes.start_web(FAILPOINT=failpoint)
    author, subscriber = (register_client(web.base_url, name) for name in ("Ada", "Ben"))
    subscriber.request_ok("PUT", f"/api/follows/{author.id}")
    subscriber.request_ok("PUT", f"/api/follows/{author.id}/bell")

    with pytest.raises(HTTPError):
        author.request("POST", "/api/posts", {"caption": "Hello"})

    web.kill()
    posts = scenario.query("select id::text from posts where user_id = :author", author=author.id)
    assert bool(posts) is exists
    scenario.assert_consistent_when_idle()
    announced = scenario.query(
        "select type from notifications where user_id = :user and actor_id = :author",
        user=subscriber.id,
        author=author.id,
    )
    assert announced == ([("BELL_POST",)] if exists else [])
