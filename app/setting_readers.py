"""Readers and validators of single settings that environs has none for.

A reader takes an `environs.Env` and a variable name, returns a checked value and raises SettingsError.
app/settings.py says which variables there are.
"""

import os
import re
import secrets
from collections.abc import Sequence
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from environs import Env, ValidationError, validate
from limits import parse

MIN_SECRET_BYTES = 32
_AUTHORITY = r"([^@\s/?#]*@)?(\[[^\]\s]+\]|[^@\s/?#:\[\]]*)(:\d+)?"
"""User, host and port. A password with an unescaped @ or / would be read as host and port, and drivers put a
bad port into their error messages."""
_URL_PATTERNS = {
    "DATABASE_URL": (
        rf"postgres(ql)?(\+\w+)?://{_AUTHORITY}([/?]\S*)?",
        "postgresql://user:password@host:5432/name",
    ),
    "REDIS_URL": (rf"(rediss?://{_AUTHORITY}([/?]\S*)?|unix://\S+)", "redis://host:6379/0"),
    "KAFKA_BOOTSTRAP_SERVERS": (r"[^\s,]+:\d+(\s*,\s*[^\s,]+:\d+)*", "host:9092,host:9092"),
}
"""The pattern of each address, and an example for the error message."""
MIN_DISTINCT_SECRET_CHARS = 8
PLACEHOLDER_SECRETS = (
    "your-secret",
    "change-me",
    "changeme",
    "replace-me",
    "secret-key",
    "password",
)


class SettingsError(SystemExit):
    """A setting is missing or wrong: stops the start, naming it and what is expected."""


def read_url(env: Env, name: str) -> str:
    pattern, example = _URL_PATTERNS[name]
    value = env.str(name, "").strip()
    if not re.fullmatch(pattern, value):
        # Without the value: it may hold a password.
        problem = "is not a valid address" if value else "is not set"
        hint = " Special characters in user and password must be percent-encoded." if "@" in value else ""
        raise SettingsError(f"{name} {problem}; expected something like {example}.{hint}")
    return value


def read_choice(env: Env, name: str, default: str, choices: Sequence[str]) -> str:
    """In any case of letters."""
    value = env.str(name, "") or default
    for choice in choices:
        if choice.lower() == value.lower():
            return choice
    raise SettingsError(f"{name} is {value!r}; expected one of {', '.join(choices)}.")


def check_rate_limit(value: str) -> None:
    """A validator: raises ValidationError."""
    try:
        parse(value)
    except ValueError as exc:
        raise ValidationError(f"{value!r} is not a limit; expected something like 5 per 15 minutes.") from exc


def scheme_validator(*schemes: str) -> validate.Regexp:
    """A validator of addresses; an empty one is unset. Its message is without the address, which may hold a
    password."""
    beginnings = [f"{scheme}://" for scheme in schemes]
    return validate.Regexp(
        rf"({'|'.join(beginnings)})|$", error=f"Must begin with {' or '.join(beginnings)}."
    )


def read_mail_from_address(env: Env, name: str, default: str) -> Address:
    value = env.str(name, "") or default
    try:
        header: Any = HeaderRegistry()("from", value)
        address: Address
        (address,) = header.addresses
        # Its domain is in every Message-ID, which has to be ASCII.
        if header.defects or not address.domain or not address.addr_spec.isascii():
            raise ValueError(value)
    except (MessageError, ValueError, IndexError) as exc:
        raise SettingsError(f"{name} is {value!r}; expected something like {default}.") from exc
    return address


def read_networks(env: Env, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    entries = [entry.strip() for entry in env.str(name, "").split(",") if entry.strip()]
    try:
        return tuple(ip_network(entry, strict=False) for entry in entries)
    except ValueError as exc:
        raise SettingsError(f"{name}: {exc}; expected addresses or networks.") from exc


def read_secret(env: Env, name: str, mode: str, data_dir: Path) -> str:
    """Required in production; in testing mode a random one is created and kept in `data_dir`."""
    value = env.str(name, "")
    if value or mode == "production":
        if len(value.encode()) < MIN_SECRET_BYTES:
            raise SettingsError(f"{name} must be set to at least {MIN_SECRET_BYTES} random bytes.")
        if mode == "production" and _is_weak_secret(value):
            raise SettingsError(f"{name} is a placeholder or too simple; expected random bytes.")
        return value
    return _load_or_create_secret(data_dir / f"{name.lower()}.txt")


def _is_weak_secret(value: str) -> bool:
    """Whether it is a placeholder from an example or has few different characters: it is not random."""
    normalized = value.lower().replace("_", "-")
    return len(set(normalized)) < MIN_DISTINCT_SECRET_CHARS or any(
        placeholder in normalized for placeholder in PLACEHOLDER_SECRETS
    )


def _load_or_create_secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written to a temporary file and linked: processes that start at the same time all use the same secret.
    temporary_path = path.with_suffix(f".{os.getpid()}")
    temporary_path.touch(mode=0o600)
    temporary_path.write_text(secrets.token_hex(32))
    try:
        os.link(temporary_path, path)
    except FileExistsError:
        pass
    finally:
        temporary_path.unlink()
    return path.read_text()
