"""Which services are external according to the settings, and the environment of the application's commands.

The environment takes precedence over .env.
"""

import os
import sys
from pathlib import Path

from dotenv import load_dotenv

from infra.paths import PROJECT_ROOT, data_dir_paths
from infra.services import EmbeddedServices

EXTERNAL_ADDRESS_VARIABLES = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "dynamodb": "DYNAMODB_ENDPOINT_URL",
}
AWS_DYNAMODB_VARIABLES = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def load_env_file() -> None:
    load_dotenv(PROJECT_ROOT / os.environ.get("ENV_FILE", ".env"), override=False)


def embedded_service_names() -> tuple[str, ...]:
    """The services without an external address; an empty setting counts as unset."""
    names = [name for name, variable in EXTERNAL_ADDRESS_VARIABLES.items() if not os.environ.get(variable)]
    if "dynamodb" in names and all(os.environ.get(variable) for variable in AWS_DYNAMODB_VARIABLES):
        names.remove("dynamodb")
    return tuple(names)


def command_environment(services: EmbeddedServices) -> dict[str, str]:
    """The environment of a process of the Procfile or of a command-line tool."""
    names = embedded_service_names()
    service_variables = services.env(*names) if names else {}
    overrides = {
        "DATA_DIR": str(data_dir_paths().data_dir),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    return dict(os.environ) | overrides | service_variables
