"""Redis is killed, frozen or emptied: writes continue, responses say that counts may be stale, and afterwards
all counts agree (P7)."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.failover.redis_failover import INGRESS_ENABLED_KEY
from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.conftest import migrate, start_services
from tests.support.cluster import WebCluster, start_cluster
from tests.support.http_client import HttpClient, HttpResponse

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
RECOVERY_SECONDS = 60.0
"""The failback takes one or two seconds on an idle machine."""
FROZEN = pytest.param("pause", "resume", id="frozen")
KILLED = pytest.param("kill", "start", id="killed")
FROZEN_IN_DRILL = pytest.param("pause", "resume", id="frozen", marks=pytest.mark.drill)
KILLED_IN_DRILL = pytest.param("kill", "start", id="killed", marks=pytest.mark.drill)


@pytest.fixture(scope="module")
def dedicated_services() -> Iterator[EmbeddedServices]:
    with start_services() as running:
        migrate(running.env())
        yield running


@pytest.fixture(scope="module")
def cluster(
    dedicated_services: EmbeddedServices,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WebCluster]:
    """Workers and two web processes that use these services."""
    own_environment = environment | dedicated_services.env()
    own_environment |= {"DATA_DIR": str(dedicated_services.paths.data_dir), "LOG_FORMAT": "text"}
    own_environment |= {"AGGREGATION_WINDOW_SECONDS": "1.5", "AGGREGATION_JITTER_SECONDS": "0.5"}
    with start_cluster(own_environment, tmp_path_factory.mktemp("processes")) as cluster:
        yield cluster


def get_post(client: HttpClient, post: str) -> dict[str, Any]:
    body: dict[str, Any] = client.request_ok("GET", f"/api/posts/{post}")
    return body


def send_all_requests(client: HttpClient, post: str, comment: str, other: HttpClient) -> list[HttpResponse]:
    """Each kind of read and write that must work during the outage."""
    reply = client.request("POST", f"/api/comments/{comment}/reply", {"content": "Then"})
    return [
        reply,
        client.request("PUT", f"/api/posts/{post}/like"),
        client.request("PUT", f"/api/follows/{other.id}"),
        client.request("POST", "/api/comments", {"postId": post, "content": "Now"}),
        client.request("DELETE", f"/api/comments/{reply.body['comment']['id']}"),
        client.request("POST", f"/api/posts/{post}/share"),
        client.request("POST", "/api/posts", {"caption": f"Look, @{other.username}"}),
        client.request("GET", "/api/posts"),
        client.request("GET", f"/api/comments?postId={post}"),
        client.request("DELETE", f"/api/posts/{post}/like"),
    ]


@pytest.mark.parametrize(("fault", "cure"), [KILLED, FROZEN_IN_DRILL])
def test_writes_continue_during_a_redis_outage_and_all_counts_agree_afterwards(
    dedicated_services: EmbeddedServices, cluster: WebCluster, fault: str, cure: str
) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Ben")
    post = alice.create_post()
    ann.like(post)
    comment = ann.comment(post, "First")
    cluster.scenario.wait_until_idle()  # a comment that only Redis has cannot be answered
    getattr(dedicated_services, fault)("redis")
    try:
        responses = send_all_requests(ben, post, comment, alice)
        ben.like(post)
        stale_body = get_post(ben, post)
    finally:
        getattr(dedicated_services, cure)("redis")

    assert [response.status for response in responses] == [201, 200, 200, 201, 200, 200, 201, 200, 200, 200]
    assert stale_body["stale"] is True
    assert stale_body["post"]["isLiked"] is True
    cluster.wait_until(
        lambda: (
            cluster.scenario.processes.redis.exists(INGRESS_ENABLED_KEY)
            and "stale" not in get_post(ben, post)
        ),
        "writes through Redis",
        RECOVERY_SECONDS,
    )
    counts = [get_post(client, post)["post"] for client in cluster.client_per_process(ben)]
    assert [(body["likesCount"], body["commentsCount"], body["isLiked"]) for body in counts] == [
        (2, 2, True)
    ] * 2
    cluster.scenario.wait_until_idle()
    assert cluster.scenario.invariants.find_violations() == []


@pytest.mark.parametrize(("fault", "cure"), [FROZEN, KILLED_IN_DRILL])
def test_notifications_of_a_redis_outage_reach_the_socket_after_recovery(
    dedicated_services: EmbeddedServices, cluster: WebCluster, fault: str, cure: str
) -> None:
    alice, ann, ben = cluster.register_clients("Alice", "Ann", "Ben")
    post = alice.create_post()
    tab = alice.open_tab()
    getattr(dedicated_services, fault)("redis")
    try:
        ann.like(post)
    finally:
        getattr(dedicated_services, cure)("redis")
    cluster.wait_until(lambda: len(tab.toast_messages) == 1, "the toast of the outage", RECOVERY_SECONDS)
    ben.like(post)
    cluster.wait_until(lambda: len(tab.toast_messages) == 2, "live push", RECOVERY_SECONDS)
    tab.disconnect()


def test_emptied_redis_is_detected_rebuilt_and_reported(cluster: WebCluster) -> None:
    alice, *users = cluster.register_clients("Alice", "Ann", "Ben", "Cem", "Dan", "Eve")
    post = alice.create_post()
    for user in users:
        user.like(post)
    wait_until(
        lambda: not sum(cluster.scenario.services.ingress.length_by_shard().values()),
        "an empty ingress",
        30,
    )

    cluster.scenario.processes.redis.flushall()
    users[0].unlike(post)  # the next write detects the loss

    cluster.wait_until(
        lambda: cluster.scenario.processes.redis.exists(INGRESS_ENABLED_KEY),
        "writes through Redis",
        RECOVERY_SECONDS,
    )
    assert [get_post(client, post)["post"]["likesCount"] for client in cluster.client_per_process(alice)] == [
        4,
        4,
    ]
    lost = alice.request_ok("GET", "/ready")["redisDataLoss"]
    assert lost["events"] is None or lost["events"] <= len(users)  # by the last measurement
    cluster.scenario.wait_until_idle()
    assert cluster.scenario.invariants.find_violations() == []
