"""No password and no token is logged at LOG_LEVEL=debug while services fail."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from harness.processes import ManagedProcess
from harness.waiting import wait_until
from infra.services import EmbeddedServices
from tests.conftest import start_services
from tests.support.http_client import PASSWORD, send_request
from tests.support.processes import ProcessGroup

pytestmark = [pytest.mark.service, pytest.mark.slow]
REDIS_PASSWORD = "the-password-of-redis"
TOKEN = "a-token-that-only-its-owner-knows"


@pytest.fixture(scope="module")
def dedicated_services() -> Iterator[EmbeddedServices]:
    """A PostgreSQL without tables, to be killed, and a Redis in which no other bridge has the leases."""
    with start_services("postgres", "redis") as running:
        yield running


@pytest.fixture
def processes(
    environment: dict[str, str],
    dedicated_services: EmbeddedServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ProcessGroup]:
    own_environment = environment | dedicated_services.env("postgres", "redis")
    connection = redis.Redis.from_url(own_environment["REDIS_URL"])
    user = "logs"
    connection.acl_setuser(
        user, enabled=True, passwords=[f"+{REDIS_PASSWORD}"], keys="*", channels="*",
        categories=["+@all"],
    )  # fmt: skip
    redis_url = urlsplit(own_environment["REDIS_URL"])
    own_environment |= {
        "REDIS_URL": f"redis://{user}:{REDIS_PASSWORD}@{redis_url.netloc}{redis_url.path}",
        "SMTP_URL": "smtp://me:the-password-of-the-mail-server@127.0.0.1:1?from=us@example.org",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "text",
    }
    processes = ProcessGroup(own_environment, tmp_path_factory.mktemp("logs"), connection)
    yield processes
    processes.stop_all()
    connection.acl_deluser(user)
    connection.close()


def send_requests_with_secrets(web: ManagedProcess) -> None:
    """Sends secrets in all parts of requests that fail."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    account = {"email": "a@example.org", "username": "ann", "name": "Ann", "password": PASSWORD}
    for method, path, body in (
        ("POST", "/api/auth/register", account),
        ("POST", "/api/auth/login", account),
        ("POST", "/api/auth/refresh", {"refreshToken": TOKEN}),
        ("POST", "/api/auth/password/reset", {"token": TOKEN, "newPassword": PASSWORD}),
        ("GET", f"/password/reset?token={TOKEN}", None),
        ("GET", f"/api/posts?token={TOKEN}", None),
        ("GET", f"/socket.io/?EIO=4&transport=polling&token={TOKEN}", None),
    ):
        assert send_request(method, f"{web.base_url}{path}", body, bearer).status


def test_no_line_of_any_process_contains_a_secret(
    processes: ProcessGroup, dedicated_services: EmbeddedServices
) -> None:
    web, deliverer, bridge = (
        processes.start_web(),
        processes.start_extra("deliverer"),
        processes.start_extra("bridge"),
    )
    all_processes = (web, deliverer, bridge)
    send_requests_with_secrets(web)
    wait_until(
        lambda: all(managed.log_path.stat().st_size for managed in all_processes),
        "a log line of each process",
        60,
    )
    dedicated_services.kill("postgres")
    send_requests_with_secrets(web)
    for managed in all_processes:
        managed.terminate()
        managed.wait_for_exit(30)

    log_text = "\n".join(managed.log_path.read_text(errors="replace") for managed in all_processes)
    secrets = [
        str(urlsplit(processes.environment["DATABASE_URL"]).password),
        REDIS_PASSWORD,
        "the-password-of-the-mail-server",
        processes.environment["JWT_SECRET_KEY"],
        processes.environment["SECRET_KEY"],
        PASSWORD,
        TOKEN,
        "dsn: '",
    ]
    assert [secret for secret in secrets if secret in log_text] == []
    assert "PostgreSQL" in log_text
