"""infra/bootstrap.sh: finds Python, creates .venv, installs packages."""

import subprocess
from pathlib import Path

import pytest

from infra.paths import PROJECT_ROOT


@pytest.fixture
def bootstrap_dir(tmp_path: Path) -> Path:
    """A folder with the files that bootstrap.sh reads, and a bin/ with the basic programs that it uses."""
    for name in ("infra/bootstrap.sh", "requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((PROJECT_ROOT / name).read_text())
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "cat", "cksum", "df", "awk"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    return tmp_path


def run_bootstrap(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(folder / "infra" / "bootstrap.sh")],
        env={"PATH": str(folder / "bin")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def create_fake_python(path: Path, version: str) -> Path:
    """A script that reports this version of Python and records calls of `-m venv`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""#!/bin/sh
case "$*" in
    *"version_info[:2]"*) echo {version} ;;
    *"version_info < (3, 11)"*) [ {version.partition(".")[2]} -ge 11 ] ;;
    --version) echo Python {version}.0 ;;
    *"-m venv"*) echo "$*" >> '{path}.venv-calls'; exit 1 ;;
esac
"""
    )
    path.chmod(0o755)
    return path


def create_installed_venv(folder: Path, version: str) -> Path:
    """A .venv of that version with all packages installed."""
    venv_python = create_fake_python(folder / ".venv" / "bin" / "python", version)
    wanted = (PROJECT_ROOT / "requirements.txt").read_bytes() + (
        PROJECT_ROOT / "requirements-dev.txt"
    ).read_bytes()
    sums = subprocess.run(["cksum"], input=wanted, capture_output=True, check=True).stdout.decode()
    (folder / ".venv" / ".installed").write_text(f"{sums.strip()} {version}\n")
    return venv_python


def test_missing_python_version_is_reported(bootstrap_dir: Path) -> None:
    result = run_bootstrap(bootstrap_dir)
    assert result.returncode == 2
    assert result.stderr.startswith("Python 3.11 or newer was not found; install it")
    assert result.stderr.count("\n") == 1


def test_complete_venv_is_left_unchanged(bootstrap_dir: Path) -> None:
    venv_python = create_installed_venv(bootstrap_dir, "3.13")
    named_python = create_fake_python(bootstrap_dir / "a folder" / "python3.13", "3.13")
    assert run_bootstrap(bootstrap_dir).returncode == 0
    assert run_bootstrap(bootstrap_dir, PYTHON=str(named_python)).returncode == 0
    assert venv_python.exists()
    assert not Path(f"{named_python}.venv-calls").exists()


def test_venv_of_another_version_than_the_named_python_is_recreated(
    bootstrap_dir: Path,
) -> None:
    create_installed_venv(bootstrap_dir, "3.11")
    named_python = create_fake_python(bootstrap_dir / "a folder" / "python3.13", "3.13")
    result = run_bootstrap(bootstrap_dir, PYTHON=str(named_python))
    assert "Creating .venv with Python 3.13.0 (it had Python 3.11)" in result.stdout
    assert Path(f"{named_python}.venv-calls").read_text() == "-m venv --clear .venv\n"


def test_packages_installed_for_another_version_are_installed_again(bootstrap_dir: Path) -> None:
    """The system's python3, which .venv links to, was upgraded."""
    create_installed_venv(bootstrap_dir, "3.11")
    create_fake_python(bootstrap_dir / ".venv" / "bin" / "python", "3.13")
    create_fake_python(bootstrap_dir / "bin" / "python3", "3.13")
    assert "Installing the packages" in run_bootstrap(bootstrap_dir).stdout


@pytest.mark.parametrize(
    ("version", "message"),
    [
        pytest.param("3.9", "is Python 3.9; name a Python 3.11 or newer.\n", id="too old"),
        pytest.param(None, "does not run; name a Python 3.11 or newer.\n", id="missing"),
    ],
)
def test_unusable_python_prints_one_error_line(
    bootstrap_dir: Path, version: str | None, message: str
) -> None:
    """No other Python than the named one is used."""
    create_fake_python(bootstrap_dir / "bin" / "python3", "3.13")
    named_python = bootstrap_dir / "named"
    if version:
        create_fake_python(named_python, version)
    result = run_bootstrap(bootstrap_dir, PYTHON=str(named_python))
    assert (result.returncode, result.stderr) == (2, f"PYTHON={named_python} {message}")
