"""Surroundings: which services the settings point elsewhere, and the environment of our commands.

In    the environment, .env (never overriding it)
Out   names of the services to embed; the environment for a command of the application
"""

import os
import sys
from pathlib import Path

from dotenv import load_dotenv

from infra.layout import ROOT, layout
from infra.services import Services

POINTS_ELSEWHERE = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "dynamodb": "DYNAMODB_ENDPOINT_URL",
}
REAL_DYNAMODB = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def load() -> None:
    load_dotenv(ROOT / os.environ.get("ENV_FILE", ".env"), override=False)


def embedded() -> tuple[str, ...]:
    """The services that no setting points elsewhere; an empty value counts as none."""
    names = [name for name, variable in POINTS_ELSEWHERE.items() if not os.environ.get(variable)]
    if "dynamodb" in names and all(os.environ.get(variable) for variable in REAL_DYNAMODB):
        names.remove("dynamodb")
    return tuple(names)


def environment(services: Services) -> dict[str, str]:
    """What a Procfile line or a tool of ours needs, whatever folder it runs in."""
    names = embedded()
    addresses = services.env(*names) if names else {}
    own = {
        "DATA_DIR": str(layout().data_dir),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    return dict(os.environ) | own | addresses
