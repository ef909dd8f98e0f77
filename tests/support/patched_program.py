"""Runs a Python program in a process that is patched by gevent, as those of the product are."""

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.conftest import ROOT

PATCH = "from app.clients.gevent_setup import patch_all; patch_all()\n"
TIMEOUT_SECONDS = 90


def run_patched_program(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PATCH + program, *arguments],
        cwd=ROOT,
        env=os.environ | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
