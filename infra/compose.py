"""Compose: our rules for docker-compose.yml, checked without Docker.

In    docker-compose.yml, Procfile
Out   one sentence per broken rule, for `python -m infra lint-compose`

The schema below is a strict part of the Compose specification: the keys we use, and no others, so
that a misspelt key is found here and not by whoever starts it.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from infra.layout import ROOT

WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "healthcheck", "volumes", "restart"],
    "properties": {
        "build": {"const": "."},
        "image": {"type": "string", "pattern": r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?$"},
        "command": WORDS,
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "required": ["condition"],
                "properties": {
                    "condition": {"enum": ["service_healthy", "service_completed_successfully"]}
                },
            },
        },
        "environment": {"type": "object"},
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {
                "test": WORDS | {"contains": {"enum": ["CMD", "CMD-SHELL"]}},
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
        "volumes": WORDS,
        "working_dir": {"type": "string"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object"},
    },
}
SECRET_NAME = re.compile(r"PASSWORD|SECRET|_AUTH$|TOKEN")
REQUIRED = re.compile(r"\$\{\w+:\?[^}]+\}")
PASSWORD_IN_URL = re.compile(r"://[^:/]*:([^@]+)@")


def check(
    compose: Path = ROOT / "docker-compose.yml", procfile: Path = ROOT / "Procfile"
) -> list[str]:
    """The broken rules; empty when all is well."""
    document: dict[str, Any] = yaml.safe_load(compose.read_text())
    faults = [
        f"{compose.name}: {'.'.join(map(str, fault.absolute_path)) or 'top level'}: {fault.message}"
        for fault in Draft202012Validator(SCHEMA).iter_errors(document)
    ]
    if faults:
        return faults
    faults += [
        fault for name, part in document["services"].items() for fault in secrets(name, part)
    ]
    faults += unknown_names(document)
    return faults + differences(document["services"], procfile)


def secrets(name: str, service: dict[str, Any]) -> list[str]:
    """A password has no default: whoever starts it names one, or it does not start."""
    environment = {key: str(value) for key, value in service.get("environment", {}).items()}
    faults = []
    for key, value in environment.items():
        # DynamoDB Local takes any; beside its address this is not a secret.
        if key == "AWS_SECRET_ACCESS_KEY" and "DYNAMODB_ENDPOINT_URL" in environment:
            continue
        inside = PASSWORD_IN_URL.search(value)
        secret = inside.group(1) if inside else value if SECRET_NAME.search(key) else None
        if secret is not None and not REQUIRED.fullmatch(secret):
            faults.append(f"{name}: {key} must be required (${{NAME:?why}}), without a default.")
    return faults


def unknown_names(document: dict[str, Any]) -> list[str]:
    """Volumes and services that are named but not declared."""
    faults = []
    for name, service in document["services"].items():
        mounted = {volume.partition(":")[0] for volume in service["volumes"]}
        strangers = mounted - set(document["volumes"])
        faults += [f"{name}: the volume {volume} is not declared." for volume in strangers]
        others = set(service.get("depends_on", {})) - set(document["services"])
        faults += [f"{name}: depends on {other}, which does not exist." for other in others]
    return faults


def differences(services: dict[str, Any], procfile: Path) -> list[str]:
    """Every process of the Procfile is a container too, started by the same words."""
    lines = procfile.read_text().splitlines() if procfile.is_file() else []
    faults = []
    for name, command in (line.split(": ", 1) for line in lines if line and line[0] != "#"):
        if name not in services:
            faults.append(f"{name} of the Procfile has no container.")
        elif services[name]["command"] != command.split():
            faults.append(f"{name}: starts with other words than in the Procfile ({command}).")
    return faults
