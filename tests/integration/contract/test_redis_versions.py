"""Versions of Redis: commands that are used exist since 7.0, and an older server stops the start.

With the marker `drill` the other modules of this folder run on each server of
tests/support/redis_servers.py.
"""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from app.clients.redis_server_check import (
    MIN_REDIS_VERSION,
    RedisServerCheck,
    UnsuitableRedis,
    exit_if_too_old,
    raise_if_unsuitable,
    too_old_message,
)
from app.setting_readers import SettingsError
from tests.conftest import ROOT
from tests.support.redis_servers import redis_server

START_TIMEOUT_SECONDS = 60
PROCESSES = {
    "web": ["-m", "gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"],
    "bridge": ["-m", "workers", "bridge"],
}


@pytest.mark.parametrize(
    ("info", "is_too_old"),
    [
        pytest.param({"redis_version": "6.2.14"}, True, id="Redis 6"),
        pytest.param({"redis_version": "7.0.0"}, False, id="Redis 7.0"),
        pytest.param({"redis_version": "10.1.0"}, False, id="two digits"),
        pytest.param({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, False, id="Valkey"),
        pytest.param({"redis_version": "unstable"}, False, id="unknown"),
        pytest.param({}, False, id="hidden"),
    ],
)
def test_version_before_7_0_is_too_old(info: dict[str, Any], is_too_old: bool) -> None:
    assert bool(too_old_message(info)) is is_too_old


@pytest.mark.service
def test_supported_server_is_accepted(redis_connection: redis.Redis) -> None:
    raise_if_unsuitable(redis_connection)


@pytest.mark.service
@pytest.mark.parametrize("process", PROCESSES)
def test_process_refuses_to_start_on_an_old_server(
    environment: dict[str, str], tmp_path: Path, process: str
) -> None:
    with redis_server("redis-6.2", tmp_path) as url:
        finished = subprocess.run(
            [sys.executable, *PROCESSES[process]],
            cwd=ROOT,
            env=os.environ | environment | {"REDIS_URL": url, "PORT": "1"},
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
        )

    assert finished.returncode == 1
    assert "REDIS_URL: Redis 6.2.5 is too old; Redis 7.0 or newer, or Valkey, is required." in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.service
def test_old_server_that_appears_later_gets_no_writes(tmp_path: Path) -> None:
    with redis_server("redis-6.2", tmp_path) as url, redis.Redis.from_url(url) as connection:
        with pytest.raises(UnsuitableRedis) as error:
            RedisServerCheck(connection).raise_if_found_unsuitable()
        with pytest.raises(SettingsError):
            exit_if_too_old(url)

    assert error.value.code == "redis_version"


def test_unavailable_redis_does_not_stop_the_start() -> None:
    exit_if_too_old("redis://127.0.0.1:1/0")


@pytest.mark.service
def test_commands_of_scripts_and_code_exist_since_the_oldest_accepted_version(
    real_redis: redis.Redis,
) -> None:
    used = commands_in_scripts() | commands_in_code()
    docs: Any = real_redis.execute_command("COMMAND DOCS", *sorted(used))  # type: ignore[no-untyped-call]
    since_by_command = {
        name: tuple(int(number) for number in _as_dict(fields)["since"].split(".")[:2])
        for name, fields in _as_dict(docs).items()
    }

    assert commands_in_scripts() <= set(since_by_command)
    assert {"xadd", "xreadgroup", "evalsha", "zadd"} <= set(since_by_command)
    assert {name for name, since in since_by_command.items() if since > MIN_REDIS_VERSION} == set()


def commands_in_scripts() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "app").rglob("*.lua")]
    return {
        name.lower()
        for source in sources
        for name in re.findall(r"redis\.p?call\(\s*['\"](\w+)['\"]", source)
    }


def commands_in_code() -> set[str]:
    """Commands that redis-py has a method for and whose names are called; also methods of other classes with
    such a name."""
    methods = {name for name, _ in inspect.getmembers(redis.Redis, inspect.isfunction)}
    sources = [path.read_text() for folder in ("app", "workers") for path in (ROOT / folder).rglob("*.py")]
    called = {name for source in sources for name in re.findall(r"\.([a-z_]+)\(", source)}
    return (called & methods) | {"evalsha", "eval"}


def _as_dict(reply: Any) -> dict[str, Any]:
    """RESP 2 replies with a list of names and values."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
