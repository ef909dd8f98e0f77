"""Events of other servers: what is accepted must fit all the way to Kafka."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.domain.events import MAX_METADATA_BYTES
from app.stores.service_keys import ServiceKeys
from app.wiring import new_id
from tests.blueprints.test_on_real_stores import Somebody, alice, web

__all__ = ["alice", "web"]
pytestmark = pytest.mark.service


@pytest.fixture
def says(web: Flask, engine: Engine) -> Any:
    key = new_id()
    ServiceKeys(engine).add(new_id(), "a test", key)
    client: FlaskClient = web.test_client()
    return lambda body: client.post("/api/events", json=body, headers={"X-Api-Key": key})


@pytest.mark.parametrize(
    ("longest", "status"),
    [
        pytest.param(4_000, 202, id="the largest that fits"),
        pytest.param(5_000, 400, id="one that no record holds"),
    ],
)
def test_metadata_that_is_too_large_is_refused_at_once(
    says: Any, alice: Somebody, longest: int, status: int
) -> None:
    many = MAX_METADATA_BYTES // 4_500
    metadata = {"parts": ["x" * longest] * many}
    answer = says({"type": "MARKETING", "targetId": alice.id, "metadata": metadata})
    assert answer.status_code == status, answer.json


def test_metadata_is_measured_as_it_travels(says: Any, alice: Somebody) -> None:
    """Each of these letters takes six bytes."""
    metadata = {"parts": ["\u00fc" * 4_000] * 15}
    answer = says({"type": "MARKETING", "targetId": alice.id, "metadata": metadata})
    assert (answer.status_code, answer.json["error"]) == (400, "metadata is too large")
