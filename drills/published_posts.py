"""Posts that a drill publishes besides those of the simulated users."""

import time
from http.client import HTTPConnection

from sqlalchemy import text

from drills.audience import REQUEST_TIMEOUT_SECONDS, send_json
from drills.drill import Scenario
from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token


def publish(scenario: Scenario, user_id: str, caption: str) -> float:
    """Publishes a post and returns how long the answer took. Raises RuntimeError unless it is 201."""
    connection = HTTPConnection("127.0.0.1", scenario.cluster.web_ports[0], timeout=REQUEST_TIMEOUT_SECONDS)
    token = create_access_token(user_id, TEST_SECRET_KEY)
    started_at = time.monotonic()
    try:
        status, body = send_json(connection, "POST", "/api/posts", token, {"caption": caption})
    finally:
        connection.close()
    if status != 201:
        raise RuntimeError(f"POST /api/posts was answered {status}: {body}")
    return time.monotonic() - started_at


def publish_mention(scenario: Scenario) -> str:
    """A stranger mentions another. Returns the id of the one who is mentioned."""
    sender_id, mentioned_id = scenario.rng.sample(scenario.fixtures.user_ids, 2)
    # The names of the fixtures are too long to be mentioned.
    username = f"stranger_{mentioned_id[-12:]}"
    with scenario.cluster.engine.begin() as conn:
        conn.execute(
            text("update users set username = :name where id = :id"), {"name": username, "id": mentioned_id}
        )
    publish(scenario, sender_id, f"@{username}")
    return mentioned_id


def publish_for_subscriber(scenario: Scenario) -> None:
    """A stranger publishes a post that another has subscribed to."""
    author_id, subscriber_id = scenario.rng.sample(scenario.fixtures.user_ids, 2)
    with scenario.cluster.engine.begin() as conn:
        conn.execute(
            text(
                "insert into bell_subscriptions (subscriber_id, target_user_id) "
                "values (:subscriber, :author) on conflict do nothing"
            ),
            {"subscriber": subscriber_id, "author": author_id},
        )
    publish(scenario, author_id, "To my subscriber.")
