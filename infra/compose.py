"""Checks docker-compose.yml without Docker, for `python -m infra lint-compose`.

The schema allows only the keys of the Compose specification that the file uses, so that it detects
misspelt ones.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from infra.paths import PROJECT_ROOT

STRING_LIST_SCHEMA = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SERVICE_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "healthcheck", "volumes", "restart"],
    "properties": {
        "build": {"const": "."},
        "image": {"type": "string", "pattern": r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-alpine)?$"},
        "command": STRING_LIST_SCHEMA,
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_healthy", "service_completed_successfully"]}},
            },
        },
        "environment": {"type": "object"},
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {
                "test": STRING_LIST_SCHEMA | {"contains": {"enum": ["CMD", "CMD-SHELL"]}},
                "interval": {"type": "string"},
                "timeout": {"type": "string"},
                "retries": {"type": "integer"},
                "start_period": {"type": "string"},
            },
        },
        "init": {"type": "boolean"},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:"}},
        "restart": {"enum": ["unless-stopped", "no"]},
        "shm_size": {"type": "string"},
        "stop_grace_period": {"type": "string"},
        "user": {"type": "string"},
        "volumes": STRING_LIST_SCHEMA,
        "working_dir": {"type": "string"},
    },
}
COMPOSE_SCHEMA = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE_SCHEMA},
        "volumes": {"type": "object"},
    },
}
SECRET_NAME_PATTERN = re.compile(r"PASSWORD|SECRET|_AUTH$|TOKEN")
REQUIRED_VARIABLE_PATTERN = re.compile(r"\$\{\w+:\?[^}]+\}")
PASSWORD_IN_URL_PATTERN = re.compile(r"://[^:/]*:([^@]+)@")


def check_compose_file(
    compose_path: Path = PROJECT_ROOT / "docker-compose.yml",
    procfile_path: Path = PROJECT_ROOT / "Procfile",
) -> list[str]:
    """One sentence per violation."""
    document: dict[str, Any] = yaml.safe_load(compose_path.read_text())
    violations = [
        f"{compose_path.name}: {'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}"
        for error in Draft202012Validator(COMPOSE_SCHEMA).iter_errors(document)
    ]
    if violations:
        return violations
    violations += [
        violation
        for name, service in document["services"].items()
        for violation in check_secrets(name, service)
    ]
    violations += check_declared_names(document)
    return violations + compare_with_procfile(document["services"], procfile_path)


def check_secrets(name: str, service: dict[str, Any]) -> list[str]:
    """Passwords must be set by the operator: they have no default."""
    environment = {key: str(value) for key, value in service.get("environment", {}).items()}
    violations = []
    for key, value in environment.items():
        # DynamoDB Local accepts any key, so this is not a secret.
        if key == "AWS_SECRET_ACCESS_KEY" and "DYNAMODB_ENDPOINT_URL" in environment:
            continue
        password_match = PASSWORD_IN_URL_PATTERN.search(value)
        secret = (
            password_match.group(1) if password_match else value if SECRET_NAME_PATTERN.search(key) else None
        )
        if secret is not None and not REQUIRED_VARIABLE_PATTERN.fullmatch(secret):
            violations.append(f"{name}: {key} must be required (${{NAME:?why}}), without a default.")
    return violations


def check_declared_names(document: dict[str, Any]) -> list[str]:
    """Volumes and services that are referenced but not declared."""
    violations = []
    for name, service in document["services"].items():
        mounted_volumes = {volume.partition(":")[0] for volume in service["volumes"]}
        undeclared_volumes = mounted_volumes - set(document["volumes"])
        violations += [f"{name}: the volume {volume} is not declared." for volume in undeclared_volumes]
        missing_services = set(service.get("depends_on", {})) - set(document["services"])
        violations += [
            f"{name}: depends on {missing_service}, which does not exist."
            for missing_service in missing_services
        ]
    return violations


def compare_with_procfile(services: dict[str, Any], procfile_path: Path) -> list[str]:
    """Every process of the Procfile has a container with the same command."""
    lines = procfile_path.read_text().splitlines() if procfile_path.is_file() else []
    violations = []
    for name, command in (line.split(": ", 1) for line in lines if line and line[0] != "#"):
        if name not in services:
            violations.append(f"{name} of the Procfile has no container.")
        elif services[name]["command"] != command.split():
            violations.append(f"{name}: the command differs from that of the Procfile ({command}).")
    return violations
