"""The whole product on services with TLS and passwords: a like is announced, and no log has a password.

`make test` has the same of each client, in tests/integration/secured.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from app.settings import load_settings
from harness.waiting import wait_until
from tests.conftest import migrate, start_services
from tests.support.certificates import create_certificates
from tests.support.http_client import register_client
from tests.support.processes import PROCESS_NAMES, ProcessGroup
from tests.support.secured_services import secured_kafka, secured_postgres, secured_redis

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.drill]
ANNOUNCEMENT_TIMEOUT_SECONDS = 60.0


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[ProcessGroup]:
    """The processes with all services but DynamoDB secured, at the most verbose log level."""
    folders = [tmp_path / name for name in ("certificates", "kafka", "logs", "data")]
    for folder in folders:
        folder.mkdir()
    certificates = create_certificates(folders[0])
    with ExitStack() as stack:
        kafka_environment = stack.enter_context(secured_kafka(certificates, folders[1]))
        secured = {
            "DATABASE_URL": stack.enter_context(secured_postgres(certificates)),
            "REDIS_URL": stack.enter_context(secured_redis(certificates)).url(),
        }
        secured |= kafka_environment | stack.enter_context(start_services("dynamodb")).env("dynamodb")
        migrate(secured)
        connection = stack.enter_context(redis.Redis.from_url(secured["REDIS_URL"]))
        own_environment = environment | secured | {"DATA_DIR": str(folders[3]), "LOG_LEVEL": "debug"}
        processes = ProcessGroup(own_environment, folders[2], connection)
        try:
            yield processes
        finally:
            processes.stop_all()


def test_like_is_announced_and_no_log_contains_a_password(
    processes: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROCESS_NAMES:
        processes.start_named(name)
    processes.wait_until_redis_enabled()
    web = processes.start_web()
    author, reader = (register_client(web.base_url, name) for name in ("author", "reader"))
    post_id = author.create_post()

    reader.request_ok("PUT", f"/api/posts/{post_id}/like")

    wait_until(
        lambda: author.request_ok("GET", f"/api/notifications/{author.id}")["notifications"],
        f"the notification of the like\n{processes.log_tails()}",
        ANNOUNCEMENT_TIMEOUT_SECONDS,
    )
    for name, value in processes.environment.items():
        monkeypatch.setenv(name, value)
    passwords = [password for password in load_settings().service_urls.passwords() if password]
    log_text = "\n".join(managed.log_path.read_text() for managed in processes.all_processes)
    assert len(passwords) == 5
    assert [password for password in passwords if password in log_text] == []
