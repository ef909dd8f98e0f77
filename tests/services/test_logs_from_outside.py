"""What processes write at LOG_LEVEL=debug while their services fail: no password, no token."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from infra.services import Services
from tests.outside import PASSWORD, call
from tests.services.crew import Crew, Member, until

pytestmark = [pytest.mark.service, pytest.mark.slow]
REDIS_PASSWORD = "the-password-of-redis"
TOKEN = "a-token-that-only-its-owner-knows"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Services]:
    """Without tables, and it may be killed."""
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)
        running = Services(d)
        try:
            running.start("postgres")
            yield running
        finally:
            running.stop("postgres")


@pytest.fixture
def crew(
    environment: dict[str, str], postgres: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crew]:
    connection = redis.Redis.from_url(environment["REDIS_URL"])
    user = "logs"
    connection.acl_setuser(
        user, enabled=True, passwords=[f"+{REDIS_PASSWORD}"], keys="*", channels="*",
        categories=["+@all"],
    )  # fmt: skip
    there = urlsplit(environment["REDIS_URL"])
    own = environment | postgres.env("postgres")
    own |= {
        "REDIS_URL": f"redis://{user}:{REDIS_PASSWORD}@{there.netloc}{there.path}",
        "SMTP_URL": "smtp://me:the-password-of-the-mail-server@127.0.0.1:1?from=us@example.org",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "text",
    }
    crew = Crew(own, tmp_path_factory.mktemp("logs"), connection)
    yield crew
    crew.dismiss()
    connection.acl_deluser(user)
    connection.close()


def fails(web: Member) -> None:
    """Requests with secrets in all places, which nobody can answer."""
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
        assert call(method, f"{web.address}{path}", body, bearer).status


def test_no_line_of_any_process_contains_a_secret(crew: Crew, postgres: Services) -> None:
    web, deliverer, bridge = crew.web(), crew.start("deliverer"), crew.start("bridge")
    members = (web, deliverer, bridge)
    fails(web)
    until(lambda: all(one.log.stat().st_size for one in members), 60, "lines of all")
    postgres.kill("postgres")
    fails(web)
    for one in members:
        one.process.terminate()
        one.process.wait(30)

    written = "\n".join(one.log.read_text(errors="replace") for one in members)
    secrets = [
        str(urlsplit(crew.environment["DATABASE_URL"]).password),
        REDIS_PASSWORD,
        "the-password-of-the-mail-server",
        crew.environment["JWT_SECRET_KEY"],
        crew.environment["SECRET_KEY"],
        PASSWORD,
        TOKEN,
        "dsn: '",
    ]
    assert [one for one in secrets if one in written] == []
    assert "PostgreSQL" in written
