"""The only reader of the environment: typed, frozen, with units. Nonsense stops the start.

environs (built on marshmallow, which we have anyway) does the reading and the types.
"""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import HeaderRegistry
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from environs import Env, EnvError
from limits import parse

from app.domain.mail import Sender
from app.domain.windows import Rules

T = TypeVar("T", int, float)
MIN_SECRET_BYTES = 32
MAX_PORT = 65_535
_ADDRESSES = {
    "DATABASE_URL": (
        r"postgres(ql)?(\+\w+)?://\S+",
        "postgresql://user:password@host:5432/name",
    ),
    "REDIS_URL": (r"(rediss?|unix)://\S+", "redis://host:6379/0"),
    "KAFKA_BOOTSTRAP_SERVERS": (r"[^\s,]+:\d+(\s*,\s*[^\s,]+:\d+)*", "host:9092,host:9092"),
}
"""What an address looks like, and an example to show who got it wrong."""
_PUBLIC_URL = re.compile(r"https?://[^\s<>?#\"]{1,300}", re.ASCII)
"""Short enough for one line of a header of an e-mail."""
MIN_SECRET_LETTERS = 8
PLACEHOLDERS = ("your-secret", "change-me", "changeme", "replace-me", "secret-key", "password")


class BadSetting(SystemExit):
    """A setting is missing or wrong: stops the start with its name and what is expected."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are. None: DynamoDB of AWS itself, by region."""

    database_url: str
    redis_url: str
    kafka_bootstrap_servers: tuple[str, ...]
    dynamodb_endpoint_url: str | None
    aws_region: str

    def as_variables(self) -> dict[str, str]:
        """By the names under which they were set."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": ",".join(self.kafka_bootstrap_servers),
            "DYNAMODB_ENDPOINT_URL": self.dynamodb_endpoint_url or "",
        }


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    partitions: dict[str, int]
    replication_factor: int
    retention_ms: int = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Breakers:
    failures: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of buffers and lengths of waits."""

    ingress_max_length: int
    fallback_max_retries: int
    ingress_shards: int = 4
    write_deadline_seconds: float = 0.9
    """Past it the write script refuses: a call sent to a frozen Redis must not act when it wakes.
    Shorter than the patience with Redis (stores/redis.py): who gave up and speaks past Redis then
    knows that the first word cannot come after the second.
    """


@dataclass(frozen=True, slots=True)
class Web:
    host: str
    port: int
    mode: str
    jwt_secret_key: str
    secret_key: str
    access_minutes: float
    refresh_days: float
    cors_origins: tuple[str, ...]
    rate_limit_enabled: bool
    rate_limit_login: str
    rate_limit_register: str
    rate_limit_write: str
    metrics_token: str | None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]

    @property
    def bind(self) -> str:
        """Where to listen, as gunicorn takes it: an IPv6 address stands in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def testing(self) -> bool:
        return self.mode == "testing"


@dataclass(frozen=True, slots=True)
class Settings:
    addresses: Addresses
    kafka: KafkaSettings
    rules: Rules
    breakers: Breakers
    limits: Limits
    web: Web
    data_dir: Path
    smtp_url: str | None
    sms_webhook_url: str | None
    mail_from: Sender
    public_url: str
    """Where people reach this site; without a slash at its end."""
    log_level: str
    log_format: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a tool needs that only looks: no secret."""

    addresses: Addresses
    limits: Limits
    host: str
    port: int


def load() -> Settings:
    """All settings, or BadSetting with one sentence."""
    env = _env()
    try:
        return _settings(env)
    except EnvError as fault:
        raise BadSetting(f"Bad setting: {fault}") from fault


def outlook() -> Outlook:
    """For app/diagnose.py; BadSetting as with load()."""
    env = _env()
    try:
        return Outlook(_addresses(env), _limits(env), *_place(env))
    except EnvError as fault:
        raise BadSetting(f"Bad setting: {fault}") from fault


def database_url() -> str:
    """For the migrations, which need nothing else."""
    return _address(_env(), "DATABASE_URL")


def _env() -> Env:
    env = Env()
    path = Path(os.environ.get("ENV_FILE", ".env"))
    if path.is_file():
        env.read_env(str(path), recurse=False)
    return env


def _settings(env: Env) -> Settings:
    mode = _choice(env, "APP_MODE", "production", ("production", "testing"))
    data_dir = Path(env.str("DATA_DIR", ".data"))
    return Settings(
        addresses=_addresses(env),
        kafka=KafkaSettings(
            partitions={
                "critical-notifications": _at_least(env.int, "KAFKA_PARTITIONS_CRITICAL", 3, 1),
                "high-priority-notifications": _at_least(env.int, "KAFKA_PARTITIONS_HIGH", 6, 1),
                "low-priority-notifications": _at_least(env.int, "KAFKA_PARTITIONS_LOW", 6, 1),
                "ready-notifications": _at_least(env.int, "KAFKA_PARTITIONS_READY", 6, 1),
                "dead-letter-notifications": 1,
            },
            replication_factor=_at_least(env.int, "KAFKA_REPLICATION_FACTOR", 1, 1),
        ),
        rules=_rules(env),
        breakers=Breakers(
            failures=_at_least(env.int, "BREAKER_FAILURES", 5, 1),
            reset_seconds=_at_least(env.float, "BREAKER_RESET_SECONDS", 10.0, 0.1),
        ),
        limits=_limits(env),
        web=_web(env, mode, data_dir),
        data_dir=data_dir,
        smtp_url=_url(env, "SMTP_URL", ("smtp", "smtps")),
        sms_webhook_url=_url(env, "SMS_WEBHOOK_URL", ("http", "https")),
        mail_from=_sender(env, "MAIL_FROM", "Notifications <notifications@localhost>"),
        public_url=_public_url(env),
        log_level=_choice(env, "LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        log_format=_choice(env, "LOG_FORMAT", "auto", ("auto", "text", "json")),
    )


def _addresses(env: Env) -> Addresses:
    endpoint = env.str("DYNAMODB_ENDPOINT_URL", "") or None
    if endpoint is None and env.str("AWS_REGION", None) is None:
        raise BadSetting("DYNAMODB_ENDPOINT_URL or AWS_REGION must be set (make run sets it).")
    servers = _address(env, "KAFKA_BOOTSTRAP_SERVERS")
    return Addresses(
        database_url=_address(env, "DATABASE_URL"),
        redis_url=_address(env, "REDIS_URL"),
        kafka_bootstrap_servers=tuple(s.strip() for s in servers.split(",") if s.strip()),
        dynamodb_endpoint_url=endpoint,
        aws_region=env.str("AWS_REGION", "us-east-1"),
    )


def _limits(env: Env) -> Limits:
    return Limits(
        ingress_max_length=_at_least(env.int, "INGRESS_MAX_LENGTH", 1_000_000, 1),
        fallback_max_retries=_at_least(env.int, "FALLBACK_MAX_RETRIES", 5, 0),
    )


def _place(env: Env) -> tuple[str, int]:
    return env.str("HOST", "127.0.0.1"), _port(env)


def _rules(env: Env) -> Rules:
    window = _at_least(env.float, "AGGREGATION_WINDOW_SECONDS", 120.0, 0.0)
    jitter = _at_least(env.float, "AGGREGATION_JITTER_SECONDS", 30.0, 0.0)
    if jitter > window:
        raise BadSetting(
            "AGGREGATION_JITTER_SECONDS must not exceed AGGREGATION_WINDOW_SECONDS: "
            "a window cannot end before it begins."
        )
    return Rules(
        instant_likes=_at_least(env.int, "INSTANT_LIKE_THRESHOLD", 3, 0),
        window_seconds=window,
        jitter_seconds=jitter,
        group_max_hours=_at_least(env.float, "GROUP_MAX_HOURS", 12.0, 0.0),
        flush_max_rows=_at_least(env.int, "FLUSH_MAX_ROWS", 10_000, 1),
    )


def _web(env: Env, mode: str, data_dir: Path) -> Web:
    register = "3 per hour" if mode == "production" else "1000 per hour"
    host, port = _place(env)
    return Web(
        host=host,
        port=port,
        mode=mode,
        jwt_secret_key=_secret(env, "JWT_SECRET_KEY", mode, data_dir),
        secret_key=_secret(env, "SECRET_KEY", mode, data_dir),
        access_minutes=_at_least(env.float, "JWT_ACCESS_MINUTES", 15.0, 0.01),
        refresh_days=_at_least(env.float, "JWT_REFRESH_DAYS", 30.0, 0.01),
        cors_origins=tuple(o.strip() for o in env.str("CORS_ORIGINS", "").split(",") if o.strip()),
        rate_limit_enabled=env.bool("RATE_LIMIT_ENABLED", True),
        rate_limit_login=_rate(env, "RATE_LIMIT_LOGIN", "5 per 15 minutes"),
        rate_limit_register=_rate(env, "RATE_LIMIT_REGISTER", register),
        metrics_token=env.str("METRICS_TOKEN", None) or None,
        rate_limit_write=_rate(env, "RATE_LIMIT_WRITE", "120 per minute"),
        trusted_proxies=_networks(env, "TRUSTED_PROXIES"),
    )


def _address(env: Env, name: str) -> str:
    pattern, example = _ADDRESSES[name]
    value = env.str(name, "").strip()
    if not re.fullmatch(pattern, value):
        # Without the value: it may hold a password.
        fault = "is no such address" if value else "is not set"
        raise BadSetting(f"{name} {fault}; expected something like {example}.")
    return value


def _at_least(read: Callable[..., T], name: str, default: T, least: T) -> T:
    value: T = read(name, default)
    if not value >= least:  # also refuses NaN
        raise BadSetting(f"{name} is {value}; expected {least} or more.")
    return value


def _port(env: Env) -> int:
    port = env.int("PORT", 8000)
    if not 1 <= port <= MAX_PORT:
        raise BadSetting(f"PORT is {port}; expected 1 to {MAX_PORT}.")
    return int(port)


def _choice(env: Env, name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = env.str(name, default).lower()
    if value not in allowed:
        raise BadSetting(f"{name} is {value!r}; expected one of {', '.join(allowed)}.")
    return value


def _rate(env: Env, name: str, default: str) -> str:
    value = env.str(name, default)
    try:
        parse(value)
    except ValueError as fault:
        raise BadSetting(f"{name} is {value!r}; expected something like {default}.") from fault
    return value


def _url(env: Env, name: str, schemes: tuple[str, ...]) -> str | None:
    value: str | None = env.str(name, "") or None
    if value is not None and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        # Without the value: it may hold a password.
        raise BadSetting(f"{name} must begin with {' or '.join(f'{one}://' for one in schemes)}.")
    return value


def _sender(env: Env, name: str, default: str) -> Sender:
    value = env.str(name, "") or default
    try:
        header: Any = HeaderRegistry()("from", value)
        (found,) = header.addresses
        # Its domain is in every Message-ID, which has to be ASCII.
        if header.defects or not found.domain or not found.addr_spec.isascii():
            raise ValueError(value)
    except (MessageError, ValueError, IndexError) as fault:
        raise BadSetting(f"{name} is {value!r}; expected something like {default}.") from fault
    return Sender(found.display_name, found.addr_spec)


def _public_url(env: Env) -> str:
    host, port = _place(env)
    here = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    value = (_url(env, "PUBLIC_URL", ("http", "https")) or here).rstrip("/")
    parts = urlsplit(value)
    if not _PUBLIC_URL.fullmatch(value) or not parts.hostname:
        raise BadSetting(
            "PUBLIC_URL must be an address without query, such as https://chime.example.org."
        )
    return value


def _networks(env: Env, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    given = [one.strip() for one in env.str(name, "").split(",") if one.strip()]
    try:
        return tuple(ip_network(one, strict=False) for one in given)
    except ValueError as fault:
        raise BadSetting(f"{name}: {fault}; expected addresses or networks.") from fault


def _secret(env: Env, name: str, mode: str, data_dir: Path) -> str:
    """In production it must be given; in testing a random one is kept in DATA_DIR."""
    value = env.str(name, "")
    if value or mode == "production":
        if len(value.encode()) < MIN_SECRET_BYTES:
            raise BadSetting(f"{name} must be set to at least {MIN_SECRET_BYTES} random bytes.")
        if mode == "production" and _is_weak(value):
            raise BadSetting(f"{name} is no secret but a text to fill in; expected random bytes.")
        return value
    return _kept_secret(data_dir / f"{name.lower()}.txt")


def _is_weak(value: str) -> bool:
    """What stands in examples, and what a bored hand types: neither was drawn at random."""
    plain = value.lower().replace("_", "-")
    return len(set(plain)) < MIN_SECRET_LETTERS or any(one in plain for one in PLACEHOLDERS)


def _kept_secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and linked: of several processes that start at once all end up with the same
    # one.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()
