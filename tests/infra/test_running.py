"""`make setup`, `make run` and the checks around them, without starting the application."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import account, compose, leftovers, ports, processes, run, surroundings
from infra.layout import ROOT, Layout
from infra.trouble import Trouble


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    place = Layout(tmp_path)
    place.create()
    return place


@pytest.fixture
def marked(place: Layout) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {leftovers.MARK: str(place.data_dir)}
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    yield child
    child.kill()
    child.wait()


def test_processes_of_a_killed_run_are_ended(
    place: Layout, marked: subprocess.Popen[bytes]
) -> None:
    assert processes.until(lambda: bool(leftovers.of_run(place)), 5)
    assert leftovers.end(place) == 1
    assert marked.wait(5) == -signal.SIGTERM


def test_processes_of_another_data_dir_are_left_alone(
    tmp_path: Path, marked: subprocess.Popen[bytes]
) -> None:
    assert leftovers.end(Layout(tmp_path / "other")) == 0
    assert marked.poll() is None


def test_a_second_run_in_the_same_data_dir_is_one_sentence(place: Layout) -> None:
    with leftovers.only_run(place):
        sentence = rf"is running in .* already \(pid {os.getpid()}\)"
        with pytest.raises(Trouble, match=sentence), leftovers.only_run(place):
            pytest.fail("two runs at once")
    with leftovers.only_run(place):
        pass


def test_the_next_run_knows_which_services_a_killed_one_had_started(place: Layout) -> None:
    leftovers.claim(place, ("redis", "kafka"))
    assert leftovers.claimed(place) == ("redis", "kafka")
    leftovers.claim(place, ())
    assert leftovers.claimed(place) == ()


def test_a_busy_web_port_is_one_sentence_with_the_way_out(
    place: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = {"APP_MODE": "testing", "HOST": "127.0.0.1", "PORT": str(port)}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DATA_DIR", str(place.data_dir))
        before = {number: signal.getsignal(number) for number in run.SIGNALS}
        try:
            with pytest.raises(Trouble, match=f"Port {port} .* taken.*make run PORT={port + 1}"):
                run.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@pytest.mark.parametrize("port", ["eighty", "0", "70000"])
def test_a_port_that_is_none_is_one_sentence(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(Trouble, match="from 1 to 65535"):
        run.port()


def test_the_printed_address_of_an_ipv6_host_opens_in_a_browser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "8001")
    assert run._address() == "http://[::1]:8001"


def test_an_address_nobody_can_listen_on_is_one_sentence() -> None:
    with pytest.raises(Trouble, match=r"No program can listen on 192\.0\.2\.1:8000"):
        ports.is_free(8000, "192.0.2.1")


@pytest.mark.parametrize(
    ("given", "embedded"),
    [
        pytest.param({}, "postgres redis kafka dynamodb", id="nothing set: all four"),
        pytest.param({"REDIS_URL": "redis://x"}, "postgres kafka dynamodb", id="one elsewhere"),
        pytest.param({"REDIS_URL": ""}, "postgres redis kafka dynamodb", id="empty is unset"),
        pytest.param(
            {"AWS_REGION": "x", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
            "postgres redis kafka",
            id="credentials of AWS: the real DynamoDB",
        ),
    ],
)
def test_only_what_no_setting_points_elsewhere_is_embedded(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], embedded: str
) -> None:
    for name in (*surroundings.POINTS_ELSEWHERE.values(), *surroundings.REAL_DYNAMODB):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert surroundings.embedded() == tuple(embedded.split())


def test_a_closed_folder_is_seen_on_the_whole_way(tmp_path: Path) -> None:
    deep = tmp_path / "closed" / "open"
    deep.mkdir(parents=True)
    stranger = os.getuid() + 4711
    deep.parent.chmod(0o700)
    assert not account.reachable(stranger, stranger, deep)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with what bootstrap.sh reads, and in bin/ the few programs that every system has."""
    for name in ("infra/bootstrap.sh", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "cat", "cksum", "df", "awk"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    return tmp_path


def bootstrap(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(folder / "infra" / "bootstrap.sh")],
        env={"PATH": str(folder / "bin")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def python(path: Path, version: str) -> Path:
    """A stand-in that answers as a Python of this version, and writes down a `-m venv`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""#!/bin/sh
case "$*" in
    *"version_info[:2]"*) echo {version} ;;
    *"version_info < (3, 11)"*) [ {version.partition(".")[2]} -ge 11 ] ;;
    --version) echo Python {version}.0 ;;
    *"-m venv"*) echo "$*" >> '{path}.made'; exit 1 ;;
esac
"""
    )
    path.chmod(0o755)
    return path


def installed(folder: Path, version: str) -> Path:
    """A .venv of that version, with everything in it."""
    inside = python(folder / ".venv" / "bin" / "python", version)
    wanted = (ROOT / "requirements.txt").read_bytes() + (ROOT / "requirements-dev.txt").read_bytes()
    sums = subprocess.run(["cksum"], input=wanted, capture_output=True, check=True).stdout.decode()
    (folder / ".venv" / ".installed").write_text(f"{sums.strip()} {version}\n")
    return inside


def test_a_machine_without_a_new_enough_python_hears_so(bare: Path) -> None:
    done = bootstrap(bare)
    assert done.returncode == 2
    assert done.stderr.startswith("Python 3.11 or newer was not found; install it")
    assert done.stderr.count("\n") == 1


def test_a_complete_venv_is_left_alone(bare: Path) -> None:
    inside = installed(bare, "3.13")
    named = python(bare / "a folder" / "python3.13", "3.13")
    assert bootstrap(bare).returncode == 0
    assert bootstrap(bare, PYTHON=str(named)).returncode == 0
    assert inside.exists()
    assert not Path(f"{named}.made").exists()


def test_a_venv_of_another_version_than_the_named_python_is_made_afresh(bare: Path) -> None:
    installed(bare, "3.11")
    named = python(bare / "a folder" / "python3.13", "3.13")
    done = bootstrap(bare, PYTHON=str(named))
    assert "Making .venv with Python 3.13.0 (it had Python 3.11)" in done.stdout
    assert Path(f"{named}.made").read_text() == "-m venv --clear .venv\n"


def test_packages_installed_for_another_version_are_installed_again(bare: Path) -> None:
    """The system's python3 was upgraded under a .venv that points to it."""
    installed(bare, "3.11")
    python(bare / ".venv" / "bin" / "python", "3.13")
    python(bare / "bin" / "python3", "3.13")
    assert "Installing the packages" in bootstrap(bare).stdout


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        pytest.param("3.9", "is Python 3.9; name a Python 3.11 or newer.\n", id="too old"),
        pytest.param(None, "does not run; name a Python 3.11 or newer.\n", id="not there"),
    ],
)
def test_a_named_python_that_cannot_be_used_is_one_sentence(
    bare: Path, version: str | None, sentence: str
) -> None:
    """And not another Python than the one that was named."""
    python(bare / "bin" / "python3", "3.13")
    named = bare / "named"
    if version:
        python(named, version)
    done = bootstrap(bare, PYTHON=str(named))
    assert (done.returncode, done.stderr) == (2, f"PYTHON={named} {sentence}")


def test_our_compose_file_keeps_our_rules() -> None:
    assert compose.check() == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        pytest.param("redis:7.4.2", "redis:latest", "does not match", id="an image not pinned"),
        pytest.param("interval: 15s", "intervall: 15s", "intervall", id="a misspelt key"),
        pytest.param(
            "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set a password}",
            "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-secret}",
            "postgres: POSTGRES_PASSWORD must be required",
            id="a password with a default",
        ),
        pytest.param(
            "notifications:${POSTGRES_PASSWORD:?set a password}@",
            "notifications:secret@",
            "DATABASE_URL must be required",
            id="a password in an address",
        ),
        pytest.param("- kafka:/var", "- lost:/var", "volume lost", id="an undeclared volume"),
        pytest.param('"workers", "bridge"', '"worker", "b"', "other words", id="another command"),
        pytest.param("  bridge:\n", "  bridg:\n", "bridge of the Procfile", id="no container"),
    ],
)
def test_a_broken_rule_of_the_compose_file_is_found(
    tmp_path: Path, right: str, wrong: str, fault: str
) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert right in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(right, wrong))
    (tmp_path / "Procfile").write_text("bridge: python -m workers bridge\n")
    faults = compose.check(tmp_path / "docker-compose.yml", tmp_path / "Procfile")
    assert any(fault in sentence for sentence in faults), faults


def test_the_settings_example_has_every_address_the_runner_looks_at() -> None:
    text = (ROOT / ".env.example").read_text()
    assert all(f"{name}=" in text for name in surroundings.POINTS_ELSEWHERE.values())
