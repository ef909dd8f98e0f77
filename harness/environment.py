"""The environment and the command lines of the product's processes."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.paths import PROJECT_ROOT

TEST_SECRET_KEY = "a key for test runs only, long enough for HS256, not a secret"  # noqa: S105
BASE_SETTINGS = {
    "APP_MODE": "testing",
    "HOST": "127.0.0.1",
    "JWT_SECRET_KEY": TEST_SECRET_KEY,
    "SECRET_KEY": TEST_SECRET_KEY,
    "LOG_FORMAT": "text",
}


def build_environment(service_env: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Our own environment without a fail point, the services' addresses, BASE_SETTINGS, then `settings`.

    PATH begins with the folder of this interpreter, so that the Procfile's commands are found.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "FAILPOINT"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return inherited | dict(service_env) | BASE_SETTINGS | {"PATH": path} | dict(settings)


def read_procfile() -> dict[str, str]:
    """Process name -> command line."""
    lines = (PROJECT_ROOT / "Procfile").read_text().splitlines()
    pairs = [line.partition(":") for line in lines if line.strip() and not line.startswith("#")]
    return {name: command.strip() for name, _, command in pairs}
