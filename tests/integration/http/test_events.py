"""Events of other servers: accepted events must be valid for the whole pipeline."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.accounts.service_keys import ServiceKeys
from app.bootstrap import new_id
from app.domain.events import MAX_METADATA_BYTES
from tests.support.api_user import ApiUser, alice

__all__ = ["alice"]
pytestmark = pytest.mark.service


@pytest.fixture
def post_event(isolated_app: Flask, engine: Engine) -> Any:
    key = new_id()
    ServiceKeys(engine).store_key_hash(new_id(), "a test", key)
    client: FlaskClient = isolated_app.test_client()
    return lambda body: client.post("/api/events", json=body, headers={"X-Api-Key": key})


@pytest.mark.parametrize(
    ("longest", "status"),
    [
        pytest.param(4_000, 202, id="the largest that fits"),
        pytest.param(5_000, 400, id="one that no record holds"),
    ],
)
def test_metadata_is_accepted_up_to_the_size_of_a_record(
    post_event: Any, alice: ApiUser, longest: int, status: int
) -> None:
    many = MAX_METADATA_BYTES // 4_500
    metadata = {"parts": ["x" * longest] * many}
    response = post_event({"type": "MARKETING", "targetId": alice.id, "metadata": metadata})
    assert response.status_code == status, response.json


def test_metadata_size_is_measured_as_encoded(post_event: Any, alice: ApiUser) -> None:
    """Each of these letters takes six bytes."""
    metadata = {"parts": ["\u00fc" * 4_000] * 15}
    response = post_event({"type": "MARKETING", "targetId": alice.id, "metadata": metadata})
    assert (response.status_code, response.json["error"]) == (400, "metadata is too large")
