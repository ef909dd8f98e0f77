"""Codes and reset tokens reach their recipient and are stored nowhere in clear."""

import json
import os
import re
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from app.accounts.service_keys import ServiceKeys
from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.support.cluster import WebCluster, outage
from tests.support.fixtures import new_id
from tests.support.http_client import PASSWORD, send_request

pytestmark = pytest.mark.service
NEW_PASSWORD = "Another-2026"


def read_mail(data_dir: str, email: str) -> str:
    """All messages that were sent to this address. Hidden files are still being written."""
    messages = (file.read_text(errors="replace") for file in Path(data_dir, "outbox").glob("[!.]*"))
    return "\n".join(message for message in messages if email in message)


def read_tables(cluster: WebCluster) -> str:
    """The content of all text, JSON and array columns of all tables."""
    columns = cluster.scenario.query(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = 'public' and data_type in "
        "('text', 'character varying', 'jsonb', 'json', 'ARRAY')"
    )
    assert len(columns) > 30
    column_texts = []
    for table, column in columns:
        statement = f'select coalesce(string_agg("{column}"::text, chr(10)), \'\') from "{table}"'  # noqa: S608
        column_texts.append(str(cluster.scenario.query(statement)[0][0]))
    return "\n".join(column_texts)


def is_in_service_files(data_dir: str, secret: str) -> bool:
    """Whether a file of Kafka, Redis or DynamoDB, or a log, contains the secret."""
    folders = [str(Path(data_dir, name)) for name in ("kafka", "redis", "dynamodb", "logs")]
    existing_folders = [folder for folder in folders if os.path.exists(folder)]
    assert len(existing_folders) >= 3, existing_folders
    return subprocess.run(["grep", "-rqaF", secret, *existing_folders], check=False).returncode == 0


@pytest.fixture
def data_dir(environment: dict[str, str]) -> str:
    return environment["DATA_DIR"]


def test_reset_token_is_in_the_message_and_nowhere_else(cluster: WebCluster, data_dir: str) -> None:
    (alice,) = cluster.register_clients("Alice")
    tab = alice.open_tab()
    response = send_request(
        "POST", f"{alice.base_url}/api/auth/password/reset-request", {"email": alice.email}
    )
    assert response.status == 200
    wait_until(lambda: "token=" in read_mail(data_dir, alice.email), "the e-mail", 90)
    cluster.wait_until(lambda: tab.toast_messages, "the toast")
    (token,) = set(re.findall(r"token=([\w.~-]+)", read_mail(data_dir, alice.email)))

    cluster.scenario.wait_until_idle()
    visible = json.dumps(
        [
            tab.received_events,
            alice.list_notifications(),
            cluster.register_clients("Eve")[0].request("GET", "/api/admin/db/notification-history").body,
        ]
    )
    assert token not in visible
    assert "token=" not in visible
    assert token not in read_tables(cluster)
    assert not is_in_service_files(data_dir, token)
    assert not any(
        token in managed.log_path.read_text(errors="replace")
        for managed in cluster.scenario.processes.all_processes
    )

    body = {"token": token, "newPassword": NEW_PASSWORD}
    assert send_request("POST", f"{alice.base_url}/api/auth/password/reset", body).status == 200
    for password, status in ((PASSWORD, 401), (NEW_PASSWORD, 200)):
        log_in = {"email": alice.email, "password": password}
        assert send_request("POST", f"{alice.base_url}/api/auth/login", log_in).status == status


@pytest.mark.parametrize(
    "unavailable_service", [None, pytest.param("kafka", marks=pytest.mark.drill), "redis"]
)
def test_code_reaches_its_recipient_and_is_stored_nowhere_in_clear(
    cluster: WebCluster, services: EmbeddedServices, data_dir: str, unavailable_service: str | None
) -> None:
    alice, eve = cluster.register_clients("Alice", "Eve")
    external_code = f"K{new_id()[-12:]}"
    key = create_service_key(cluster)
    tab = alice.open_tab()
    with outage(services, unavailable_service) if unavailable_service else nullcontext():
        alice.request_ok("POST", "/api/auth/otp/request", {})
        body = {
            "type": "OTP",
            "targetId": alice.id,
            "message": f"Code {external_code}",
            "title": external_code,
        }
        assert send_request("POST", f"{alice.base_url}/api/events", body, {"X-Api-Key": key}).status == 202
        cluster.wait_until(lambda: len(tab.toast_messages) == 2, "the codes")
        wait_until(lambda: external_code in read_mail(data_dir, alice.email), "the messages", 90)
    (code,) = re.findall(r"code is (\d{6})\b", " ".join(tab.toast_messages))
    assert f"Code {external_code}" in tab.toast_messages
    assert code in read_mail(data_dir, alice.email)
    pending = "select count(*) from kafka_fallback_queue where not processed"
    wait_until(lambda: cluster.scenario.query(pending) == [(0,)], "an empty fallback queue", 60)
    cluster.scenario.wait_until_idle()

    listed = json.dumps(
        [alice.list_notifications(), eve.request_ok("GET", "/api/admin/db/notification-history")]
    )
    for secret in (rf"\b{code}\b", external_code):
        assert not re.search(secret, listed)
        assert not re.search(secret, read_tables(cluster))
    for secret in (f"code is {code}", external_code):
        assert not is_in_service_files(data_dir, secret)
        for managed in cluster.scenario.processes.all_processes:
            assert secret not in managed.log_path.read_text(errors="replace")
    assert alice.request_ok("POST", "/api/auth/otp/verify", {"code": code})["verified"] is True
    assert alice.request("POST", "/api/auth/otp/verify", {"code": code}).status == 400


def test_reset_token_of_an_external_event_is_in_the_message_and_nowhere_else(
    cluster: WebCluster, data_dir: str
) -> None:
    (alice,) = cluster.register_clients("Alice")
    key = create_service_key(cluster)
    tab = alice.open_tab()
    body = {"type": "PASSWORD_RESET", "targetId": alice.id, "message": "Use token=SECRET-9 now"}
    response = send_request("POST", f"{alice.base_url}/api/events", body, {"X-Api-Key": key})
    assert response.status == 202
    wait_until(lambda: "token=SECRET-9" in read_mail(data_dir, alice.email), "the e-mail", 90)
    cluster.wait_until(lambda: tab.toast_messages, "the toast")
    assert tab.toast_messages == ["A password reset was requested for your account."]
    cluster.scenario.wait_until_idle()
    assert "SECRET-9" not in read_tables(cluster)
    assert not is_in_service_files(data_dir, "SECRET-9")


def create_service_key(cluster: WebCluster) -> str:
    key = new_id()
    ServiceKeys(cluster.scenario.engine).store_key_hash(new_id(), "a test", key)
    return key
