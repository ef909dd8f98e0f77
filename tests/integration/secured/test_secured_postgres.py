"""PostgreSQL with sslmode=verify-full: engine, LISTEN connection, ping and migrations."""

import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from app.clients.pg_notify import PgNotifyListener
from app.clients.postgres import create_pg_engine, translate_errors
from app.domain.errors import Unavailable
from tests.conftest import migrate
from tests.support.certificates import CertificateFiles
from tests.support.patched_program import run_patched_program
from tests.support.secured_services import secured_postgres, trusting

pytestmark = pytest.mark.service
ENGINE_AND_LISTENER_PROGRAM = """
import sys
from app.clients.pg_notify import PgNotifyListener
from app.clients.postgres import create_pg_engine, ping_or_raise
from sqlalchemy import text

url = sys.argv[1]
ping_or_raise(url)
listener = PgNotifyListener(url, "a_channel")
listener.check_connection()
assert listener._connection.info.ssl_in_use
engine = create_pg_engine(url)
payloads = ["x" * 7_000 + str(n) for n in range(20)]  # more than one TLS record
with engine.begin() as conn:
    assert conn.connection.driver_connection.info.ssl_in_use
    for payload in payloads:
        conn.execute(text("select pg_notify('a_channel', :payload)"), {"payload": payload})
received = []
while len(received) < len(payloads):
    payloads_now = listener.wait_for_payloads(5.0)
    assert payloads_now, "no payload within 5 s"
    received += payloads_now
assert received == payloads
print("all clients work")
"""


@pytest.fixture(scope="module")
def secured_url(certificates: CertificateFiles) -> Iterator[str]:
    with secured_postgres(certificates) as url:
        yield url


def test_engine_and_listener_work_with_a_verified_certificate(secured_url: str) -> None:
    finished = run_patched_program(ENGINE_AND_LISTENER_PROGRAM, secured_url)

    assert finished.stdout.strip() == "all clients work", finished.stderr


def test_migrations_run_with_a_verified_certificate(secured_url: str) -> None:
    migrate({"DATABASE_URL": secured_url})

    with create_pg_engine(secured_url).connect() as conn:
        assert conn.execute(text("select count(*) from alembic_version")).scalar() == 1


def test_certificate_of_another_authority_is_refused(
    secured_url: str, other_certificates: CertificateFiles
) -> None:
    url = trusting(secured_url, other_certificates)
    engine = create_pg_engine(url)

    with pytest.raises(Unavailable) as error, translate_errors("connect"):
        engine.connect()
    with pytest.raises(Unavailable):
        PgNotifyListener(url, "a_channel").check_connection()

    assert error.value.code == "postgres_unavailable"
    assert "certificate verify failed" in str(error.value.__cause__)
    assert str(make_url(url).password) not in f"{error.value!r} {error.value.__cause__!r}"


def test_certificate_for_another_host_is_refused(secured_url: str) -> None:
    url = make_url(secured_url).set(host="127.0.0.2").render_as_string(hide_password=False)

    with pytest.raises(Unavailable), translate_errors("connect"):
        create_pg_engine(url).connect()


def test_failed_migration_does_not_show_the_password(
    secured_url: str, other_certificates: CertificateFiles
) -> None:
    url = trusting(secured_url, other_certificates)

    with pytest.raises(subprocess.CalledProcessError) as error:
        migrate({"DATABASE_URL": url})

    assert str(make_url(url).password).encode() not in error.value.stdout + error.value.stderr
