"""The embedded Redis and PostgreSQL, which start within seconds."""

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra import __main__ as command_line
from infra import paths, ports, processes
from infra.errors import InfraError
from infra.services import SERVICE_NAMES, EmbeddedServices

pytestmark = pytest.mark.service
SERVICES = ("postgres", "redis")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServices]:
    services = EmbeddedServices(tmp_path_factory.mktemp("embedded"))
    services.start(*SERVICES)
    yield services
    services.stop(*SERVICES)


def redis_client(services: EmbeddedServices) -> "Redis":
    url = services.env("redis")["REDIS_URL"]
    return Redis.from_url(url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


def query(services: EmbeddedServices, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(services.env("postgres")["DATABASE_URL"], connect_timeout=5)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def test_second_start_keeps_running_services(services: EmbeddedServices) -> None:
    statuses_before = services.status(*SERVICES)
    services.start(*SERVICES)
    assert services.status(*SERVICES) == statuses_before
    assert all(status.state == "running" for status in statuses_before.values())


def test_postgresql_has_the_expected_configuration(services: EmbeddedServices) -> None:
    assert query(services, "SHOW timezone") == [("UTC",)]
    assert int(str(query(services, "SHOW max_connections")[0][0])) >= 100
    query(services, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
    query(services, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    query(services, "SELECT count(*) FROM pg_stat_statements")


def test_password_file_is_readable_by_its_owner_only_and_a_wrong_password_is_refused(
    services: EmbeddedServices,
) -> None:
    mode = (services.paths.data_dir / "postgres.password").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    wrong_url = services.env("postgres")["DATABASE_URL"].replace(":", ":x", 2).replace(":x//", "://")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(wrong_url, connect_timeout=5)


def test_redis_has_the_expected_configuration(services: EmbeddedServices) -> None:
    expected = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "bind": "127.0.0.1",
    }
    client = redis_client(services)
    assert {name: client.config_get(name)[name] for name in expected} == expected
    assert int(client.config_get("maxmemory")["maxmemory"] or 0) > 0


def test_kill_and_start_keep_port_and_data(services: EmbeddedServices) -> None:
    redis_client(services).set("stored", "yes")
    query(services, "CREATE TABLE IF NOT EXISTS stored (value text)")
    query(services, "INSERT INTO stored VALUES ('yes')")
    statuses_before = services.status(*SERVICES)

    services.kill(*SERVICES)
    assert all(status.state == "stopped" for status in services.status(*SERVICES).values())
    services.start(*SERVICES)

    statuses_after = services.status(*SERVICES)
    assert all(statuses_after[name].port == statuses_before[name].port for name in SERVICES)
    assert all(statuses_after[name].pid != statuses_before[name].pid for name in SERVICES)
    assert redis_client(services).get("stored") == b"yes"
    assert ("yes",) in query(services, "SELECT value FROM stored")


def test_paused_service_has_all_processes_stopped_until_resumed(
    services: EmbeddedServices,
) -> None:
    connection = psycopg2.connect(services.env("postgres")["DATABASE_URL"])
    services.pause(*SERVICES)
    try:
        assert {status.state for status in services.status(*SERVICES).values()} == {"paused"}
        service_processes = processes.find_service_processes(services.paths.process_tag("postgres"))
        assert len(service_processes) > 3
        assert all(processes.is_paused(process) for process in service_processes)
        with pytest.raises(Exception, match="Timeout"):
            redis_client(services).ping()
    finally:
        services.resume(*SERVICES)
    assert {status.state for status in services.status(*SERVICES).values()} == {"running"}
    assert redis_client(services).ping()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.close()


def test_start_resumes_a_paused_service(services: EmbeddedServices) -> None:
    services.pause("redis")
    services.start("redis")
    assert redis_client(services).ping()


def test_orphans_of_a_killed_postgresql_are_killed_and_reported(services: EmbeddedServices) -> None:
    tag = services.paths.process_tag("postgres")
    services.pause("postgres")  # paused children do not notice that their parent was killed
    os.kill(services.status("postgres")["postgres"].pid or 0, signal.SIGKILL)
    assert processes.wait_until(
        lambda: processes.find_main_process(processes.find_service_processes(tag), tag) is None, 5
    )
    assert processes.find_service_processes(tag)

    messages: list[str] = []
    EmbeddedServices(services.paths.data_dir, log=messages.append).start("postgres")

    assert query(services, "SELECT 1") == [(1,)]
    assert any("a crashed server left running" in message for message in messages)


def test_stale_pid_file_of_another_process_is_ignored(services: EmbeddedServices) -> None:
    services.kill("postgres")
    pid_file = services.paths.service_dir("postgres") / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n" + "\n".join(pid_file.read_text().splitlines()[1:]) + "\n")
    services.paths.pid_file("postgres").write_text(f"{os.getpid()}\n")
    services.start("postgres")
    assert query(services, "SELECT 1") == [(1,)]
    services.stop("postgres")
    assert psutil.pid_exists(os.getpid())
    services.start("postgres")


def test_two_data_dirs_run_side_by_side(services: EmbeddedServices, tmp_path: Path) -> None:
    other = EmbeddedServices(tmp_path / "other")
    other.start("redis")
    try:
        redis_client(other).set("key", "other")
        assert redis_client(services).get("key") is None
        other.kill("redis")
        assert redis_client(services).ping()
    finally:
        other.stop()


def test_start_on_an_occupied_port_fails_and_names_the_port(tmp_path: Path) -> None:
    services = EmbeddedServices(tmp_path)
    services.start("redis")
    services.stop("redis")
    port = ports.read_ports(services.paths.ports_file)["redis"]
    message = f"Port {port} of redis is taken by another program; end it"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(InfraError, match=message):
        services.start("redis")


def test_status_prints_json(
    services: EmbeddedServices, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(services.paths.data_dir))
    assert command_line.main(["status", "--json"]) == 0
    statuses = json.loads(capsys.readouterr().out)
    assert set(statuses) == set(SERVICE_NAMES)
    assert all(set(row) == {"state", "pid", "port"} for row in statuses.values())
    assert statuses["redis"]["state"] == "running"
    assert statuses["kafka"]["state"] == "stopped"


def test_error_is_one_line_and_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "empty"))
    assert command_line.main(["env"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_start_fails_if_the_disk_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "free_disk_bytes", lambda folder: 5_000_000)
    with pytest.raises(InfraError, match="Only 5 MB are free"):
        EmbeddedServices(tmp_path).start("redis")
