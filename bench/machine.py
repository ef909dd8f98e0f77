"""What a figure depends on besides the benchmark: machine, versions and commit."""

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from bench.harness import BenchHarness
from infra.manifest import read_maven_coordinates
from infra.paths import PROJECT_ROOT


def describe_machine(harness: BenchHarness) -> dict[str, str]:
    """Names and values to print."""
    services = harness.worker_services.services
    with services.engine.connect() as conn:
        postgres_version = str(conn.execute(text("show server_version")).scalar_one())
    redis_info: Any = services.redis.info("server")
    redis_version = redis_info.get("valkey_version") or redis_info["redis_version"]
    [kafka_version] = [
        artifact.rpartition(":")[2] for artifact in read_maven_coordinates()["kafka"] if ":kafka_" in artifact
    ]
    cpu_model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "CPU": f"{cpu_model[1] if cpu_model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "versions": f"Python {platform.python_version()}, PostgreSQL {postgres_version}, "
        f"{redis_info.get('server_name', 'redis')} {redis_version}, Kafka {kafka_version}",
    }


def read_commit() -> str:
    """With a plus sign if the work tree differs from it."""
    try:
        commit, changes = (
            subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
            for arguments in (("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("+" if changes.stdout.strip() else "")
