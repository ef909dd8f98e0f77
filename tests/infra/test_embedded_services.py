"""The embedded services, real: Redis and PostgreSQL, which start within seconds."""

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
from infra import layout, ports, processes
from infra.services import NAMES, Services
from infra.trouble import Trouble

pytestmark = pytest.mark.service
QUICK = ("postgres", "redis")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("embedded"))
    services.start(*QUICK)
    yield services
    services.stop(*QUICK)


def redis(services: Services) -> "Redis":
    url = services.env("redis")["REDIS_URL"]
    return Redis.from_url(url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


def query(services: Services, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(services.env("postgres")["DATABASE_URL"], connect_timeout=5)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def test_a_second_start_leaves_what_runs_as_it_is(services: Services) -> None:
    before = services.status(*QUICK)
    services.start(*QUICK)
    assert services.status(*QUICK) == before
    assert all(status.state == "running" for status in before.values())


def test_postgres_is_what_the_application_expects(services: Services) -> None:
    assert query(services, "SHOW timezone") == [("UTC",)]
    assert int(str(query(services, "SHOW max_connections")[0][0])) >= 100
    query(services, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
    query(services, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    query(services, "SELECT count(*) FROM pg_stat_statements")


def test_the_password_is_ours_alone(services: Services) -> None:
    mode = (services.layout.data_dir / "postgres.password").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    without = services.env("postgres")["DATABASE_URL"].replace(":", ":x", 2).replace(":x//", "://")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(without, connect_timeout=5)


def test_redis_forgets_nothing_it_answered_for(services: Services) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "bind": "127.0.0.1",
    }
    client = redis(services)
    assert {name: client.config_get(name)[name] for name in wanted} == wanted
    assert int(client.config_get("maxmemory")["maxmemory"]) > 0


def test_kill_and_start_keep_port_and_data(services: Services) -> None:
    redis(services).set("kept", "yes")
    query(services, "CREATE TABLE IF NOT EXISTS kept (word text)")
    query(services, "INSERT INTO kept VALUES ('yes')")
    before = services.status(*QUICK)

    services.kill(*QUICK)
    assert all(status.state == "stopped" for status in services.status(*QUICK).values())
    services.start(*QUICK)

    after = services.status(*QUICK)
    assert all(after[name].port == before[name].port for name in QUICK)
    assert all(after[name].pid != before[name].pid for name in QUICK)
    assert redis(services).get("kept") == b"yes"
    assert ("yes",) in query(services, "SELECT word FROM kept")


def test_a_paused_service_is_frozen_with_all_its_processes_until_resumed(
    services: Services,
) -> None:
    open_before = psycopg2.connect(services.env("postgres")["DATABASE_URL"])
    services.pause(*QUICK)
    try:
        assert {status.state for status in services.status(*QUICK).values()} == {"paused"}
        members = processes.members(services.layout.tag("postgres"))
        assert len(members) > 3
        assert all(processes.is_stopped(member) for member in members)
        with pytest.raises(Exception, match="Timeout"):
            redis(services).ping()
    finally:
        services.resume(*QUICK)
    assert {status.state for status in services.status(*QUICK).values()} == {"running"}
    assert redis(services).ping()
    with open_before.cursor() as cursor:
        cursor.execute("SELECT 1")
    open_before.close()


def test_start_wakes_a_paused_service(services: Services) -> None:
    services.pause("redis")
    services.start("redis")
    assert redis(services).ping()


def test_orphans_of_a_killed_postgres_are_ended_and_said(services: Services) -> None:
    tag = services.layout.tag("postgres")
    services.pause("postgres")  # frozen children do not notice that their parent died
    os.kill(services.status("postgres")["postgres"].pid or 0, signal.SIGKILL)
    assert processes.until(lambda: processes.main(processes.members(tag), tag) is None, 5)
    assert processes.members(tag)

    said: list[str] = []
    Services(services.layout.data_dir, say=said.append).start("postgres")

    assert query(services, "SELECT 1") == [(1,)]
    assert any("a killed one left behind" in sentence for sentence in said)


def test_a_stale_pid_file_that_names_a_living_stranger_does_no_harm(services: Services) -> None:
    services.kill("postgres")
    stale = services.layout.folder("postgres") / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n" + "\n".join(stale.read_text().splitlines()[1:]) + "\n")
    services.layout.pid_file("postgres").write_text(f"{os.getpid()}\n")
    services.start("postgres")
    assert query(services, "SELECT 1") == [(1,)]
    services.stop("postgres")
    assert psutil.pid_exists(os.getpid())
    services.start("postgres")


def test_two_data_dirs_live_side_by_side(services: Services, tmp_path: Path) -> None:
    other = Services(tmp_path / "other")
    other.start("redis")
    try:
        redis(other).set("whose", "other")
        assert redis(services).get("whose") is None
        other.kill("redis")
        assert redis(services).ping()
    finally:
        other.stop()


def test_a_port_that_another_program_took_is_one_sentence(tmp_path: Path) -> None:
    services = Services(tmp_path)
    services.start("redis")
    services.stop("redis")
    taken = ports.kept(services.layout.ports)["redis"]
    sentence = f"Port {taken} of redis is taken by another program; end it"
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(Trouble, match=sentence):
        services.start("redis")


def test_status_is_json_for_programs(
    services: Services, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(services.layout.data_dir))
    assert command_line.main(["status", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows) == set(NAMES)
    assert all(set(row) == {"state", "pid", "port"} for row in rows.values())
    assert rows["redis"]["state"] == "running"
    assert rows["kafka"]["state"] == "stopped"


def test_trouble_is_one_sentence_and_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "empty"))
    assert command_line.main(["env"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_too_little_disk_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "free_bytes", lambda folder: 5_000_000)
    with pytest.raises(Trouble, match="Only 5 MB are free"):
        Services(tmp_path).start("redis")
