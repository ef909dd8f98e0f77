"""All settings, read from the environment and .env (environs): typed, frozen, with units in their names.

A wrong value stops the start with SettingsError. Nothing else in the project reads the environment for
settings.
"""

import os
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import unquote, urlsplit

from environs import Env, EnvError

from app.domain.mail_policy import MailFromAddress
from app.domain.windows import AggregationRules
from app.kafka_settings import KafkaConnection, read_kafka_connection
from app.setting_readers import (
    SettingsError,
    read_choice,
    read_mail_from_address,
    read_networks,
    read_number_at_least,
    read_optional_url,
    read_rate_limit,
    read_secret,
    read_url,
)

MAX_PORT = 65_535
MIN_READ_NOTIFICATION_RETENTION_DAYS = 9
"""Longer than Kafka and the tombstones keep anything: a late copy of an event that is already part of a
notification finds it, or the newer row of its like, and is not announced again."""
_PUBLIC_URL = re.compile(r"https?://[^\s<>?#\"]{1,300}", re.ASCII)
"""At most as long as fits into one header line of an e-mail."""


@dataclass(frozen=True, slots=True)
class ServiceUrls:
    """The addresses of the services. `dynamodb_endpoint_url` is None for DynamoDB in AWS, by region."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    kafka_connection: KafkaConnection
    dynamodb_endpoint_url: str | None
    aws_region: str

    def passwords(self) -> list[str]:
        """As they are and as they appear in an address. They must not be logged or shown."""
        in_urls = [urlsplit(url).password or "" for url in (self.database_url, self.redis_url)]
        kafka_password = self.kafka_connection.sasl.password if self.kafka_connection.sasl else ""
        return [*in_urls, *map(unquote, in_urls), kafka_password]

    def as_environment(self) -> dict[str, str]:
        """By the names of the environment variables."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": ",".join(self.kafka_connection.bootstrap_servers),
            "DYNAMODB_ENDPOINT_URL": self.dynamodb_endpoint_url or "",
        }


@dataclass(frozen=True, slots=True)
class KafkaTopicSettings:
    partitions: dict[str, int]
    replication_factor: int
    retention_ms: int = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    failure_threshold: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """Sizes of buffers and lengths of timeouts."""

    ingress_max_entries: int
    fallback_max_retries: int
    membership_cache_max: int
    """Members of a post or user above which Redis does not hold them all."""
    membership_cache_idle_seconds: float
    ingress_shards: int = 4
    write_deadline_seconds: float = 0.9
    """The write scripts refuse calls that they run later than this, so that a call that a frozen Redis
    received has no effect once its caller has given up. Shorter than COMMAND_TIMEOUT_SECONDS
    (app/clients/redis.py): a failover write is never followed by the effect of the call that it replaces."""


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    interval_seconds: float
    """0: only `python -m app.admin purge` deletes."""
    read_notification_days: int


@dataclass(frozen=True, slots=True)
class WebSettings:
    host: str
    port: int
    mode: str
    jwt_secret_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    access_token_minutes: float
    refresh_token_days: float
    cors_origins: tuple[str, ...]
    is_rate_limit_enabled: bool
    rate_limit_login: str
    rate_limit_register: str
    rate_limit_write: str
    metrics_token: str | None = field(repr=False)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]

    @property
    def bind_address(self) -> str:
        """The address to listen on in gunicorn's form: an IPv6 address is in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_testing(self) -> bool:
        return self.mode == "testing"


@dataclass(frozen=True, slots=True)
class Settings:
    service_urls: ServiceUrls
    kafka: KafkaTopicSettings
    window_rules: AggregationRules
    breakers: BreakerSettings
    limits: PipelineLimits
    retention: RetentionSettings
    web: WebSettings
    data_dir: Path
    smtp_url: str | None = field(repr=False)
    sms_webhook_url: str | None = field(repr=False)
    mail_from: MailFromAddress
    public_url: str
    """The address under which users reach the site, without a trailing slash."""
    log_level: str
    log_format: str


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """The settings of a tool that only reads: no secrets."""

    service_urls: ServiceUrls
    limits: PipelineLimits
    host: str
    port: int


def load_settings() -> Settings:
    """All settings. Raises SettingsError with one sentence."""
    env = _load_env()
    try:
        return _read_settings(env)
    except EnvError as exc:
        raise SettingsError(f"Bad setting: {exc}") from exc


def load_tool_settings() -> ToolSettings:
    """For app/operations/diagnose.py. Raises SettingsError."""
    env = _load_env()
    try:
        return ToolSettings(_read_service_urls(env), _read_pipeline_limits(env), *_read_host_and_port(env))
    except EnvError as exc:
        raise SettingsError(f"Bad setting: {exc}") from exc


def load_database_url() -> str:
    """For the migrations, which need nothing else. Raises SettingsError."""
    return read_url(_load_env(), "DATABASE_URL")


def load_retention_settings() -> RetentionSettings:
    """For the purge. Raises SettingsError."""
    env = _load_env()
    try:
        return _read_retention_settings(env)
    except EnvError as exc:
        raise SettingsError(f"Bad setting: {exc}") from exc


def _load_env() -> Env:
    env = Env()
    path = Path(os.environ.get("ENV_FILE", ".env"))
    if path.is_file():
        env.read_env(str(path), recurse=False)
    return env


def _read_settings(env: Env) -> Settings:
    mode = read_choice(env, "APP_MODE", "production", ("production", "testing"))
    data_dir = Path(env.str("DATA_DIR", ".data"))
    return Settings(
        service_urls=_read_service_urls(env),
        kafka=KafkaTopicSettings(
            partitions={
                "critical-notifications": read_number_at_least(env.int, "KAFKA_PARTITIONS_CRITICAL", 3, 1),
                "high-priority-notifications": read_number_at_least(env.int, "KAFKA_PARTITIONS_HIGH", 6, 1),
                "low-priority-notifications": read_number_at_least(env.int, "KAFKA_PARTITIONS_LOW", 6, 1),
                "ready-notifications": read_number_at_least(env.int, "KAFKA_PARTITIONS_READY", 6, 1),
                "bulk-notifications": read_number_at_least(env.int, "KAFKA_PARTITIONS_BULK", 6, 1),
                "dead-letter-notifications": 1,
            },
            replication_factor=read_number_at_least(env.int, "KAFKA_REPLICATION_FACTOR", 1, 1),
        ),
        window_rules=_read_aggregation_rules(env),
        breakers=BreakerSettings(
            failure_threshold=read_number_at_least(env.int, "BREAKER_FAILURES", 5, 1),
            reset_seconds=read_number_at_least(env.float, "BREAKER_RESET_SECONDS", 10.0, 0.1),
        ),
        limits=_read_pipeline_limits(env),
        retention=_read_retention_settings(env),
        web=_read_web_settings(env, mode, data_dir),
        data_dir=data_dir,
        smtp_url=read_optional_url(env, "SMTP_URL", ("smtp", "smtps")),
        sms_webhook_url=read_optional_url(env, "SMS_WEBHOOK_URL", ("http", "https")),
        mail_from=read_mail_from_address(env, "MAIL_FROM", "Notifications <notifications@localhost>"),
        public_url=_read_public_url(env),
        log_level=read_choice(env, "LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        log_format=read_choice(env, "LOG_FORMAT", "auto", ("auto", "text", "json")),
    )


def _read_service_urls(env: Env) -> ServiceUrls:
    endpoint = env.str("DYNAMODB_ENDPOINT_URL", "") or None
    if endpoint is None and env.str("AWS_REGION", None) is None:
        raise SettingsError("DYNAMODB_ENDPOINT_URL or AWS_REGION must be set (make run sets it).")
    return ServiceUrls(
        database_url=read_url(env, "DATABASE_URL"),
        redis_url=read_url(env, "REDIS_URL"),
        kafka_connection=read_kafka_connection(env),
        dynamodb_endpoint_url=endpoint,
        aws_region=env.str("AWS_REGION", "us-east-1"),
    )


def _read_pipeline_limits(env: Env) -> PipelineLimits:
    return PipelineLimits(
        ingress_max_entries=read_number_at_least(env.int, "INGRESS_MAX_LENGTH", 1_000_000, 1),
        fallback_max_retries=read_number_at_least(env.int, "FALLBACK_MAX_RETRIES", 5, 0),
        membership_cache_max=read_number_at_least(env.int, "MEMBERSHIP_CACHE_MAX", 20_000, 1),
        membership_cache_idle_seconds=read_number_at_least(
            env.float, "MEMBERSHIP_CACHE_IDLE_SECONDS", 3600.0, 5.0
        ),
    )


def _read_retention_settings(env: Env) -> RetentionSettings:
    return RetentionSettings(
        interval_seconds=read_number_at_least(env.float, "RETENTION_INTERVAL_SECONDS", 3600.0, 0.0),
        read_notification_days=read_number_at_least(
            env.int, "READ_NOTIFICATION_RETENTION_DAYS", 90, MIN_READ_NOTIFICATION_RETENTION_DAYS
        ),
    )


def _read_host_and_port(env: Env) -> tuple[str, int]:
    return env.str("HOST", "127.0.0.1"), _read_port(env)


def _read_aggregation_rules(env: Env) -> AggregationRules:
    window_seconds = read_number_at_least(env.float, "AGGREGATION_WINDOW_SECONDS", 120.0, 0.0)
    jitter_seconds = read_number_at_least(env.float, "AGGREGATION_JITTER_SECONDS", 30.0, 0.0)
    if jitter_seconds > window_seconds:
        raise SettingsError(
            "AGGREGATION_JITTER_SECONDS must not exceed AGGREGATION_WINDOW_SECONDS: "
            "a window cannot end before it begins."
        )
    return AggregationRules(
        instant_likes=read_number_at_least(env.int, "INSTANT_LIKE_THRESHOLD", 3, 0),
        window_seconds=window_seconds,
        jitter_seconds=jitter_seconds,
        group_max_hours=read_number_at_least(env.float, "GROUP_MAX_HOURS", 12.0, 0.0),
        flush_max_rows=read_number_at_least(env.int, "FLUSH_MAX_ROWS", 10_000, 1),
    )


def _read_web_settings(env: Env, mode: str, data_dir: Path) -> WebSettings:
    default_register_rate = "3 per hour" if mode == "production" else "1000 per hour"
    host, port = _read_host_and_port(env)
    return WebSettings(
        host=host,
        port=port,
        mode=mode,
        jwt_secret_key=read_secret(env, "JWT_SECRET_KEY", mode, data_dir),
        secret_key=read_secret(env, "SECRET_KEY", mode, data_dir),
        access_token_minutes=read_number_at_least(env.float, "JWT_ACCESS_MINUTES", 15.0, 0.01),
        refresh_token_days=read_number_at_least(env.float, "JWT_REFRESH_DAYS", 30.0, 0.01),
        cors_origins=tuple(
            origin.strip() for origin in env.str("CORS_ORIGINS", "").split(",") if origin.strip()
        ),
        is_rate_limit_enabled=env.bool("RATE_LIMIT_ENABLED", True),
        rate_limit_login=read_rate_limit(env, "RATE_LIMIT_LOGIN", "5 per 15 minutes"),
        rate_limit_register=read_rate_limit(env, "RATE_LIMIT_REGISTER", default_register_rate),
        metrics_token=env.str("METRICS_TOKEN", None) or None,
        rate_limit_write=read_rate_limit(env, "RATE_LIMIT_WRITE", "120 per minute"),
        trusted_proxies=read_networks(env, "TRUSTED_PROXIES"),
    )


def _read_port(env: Env) -> int:
    port = env.int("PORT", 8000)
    if not 1 <= port <= MAX_PORT:
        raise SettingsError(f"PORT is {port}; expected 1 to {MAX_PORT}.")
    return int(port)


def _read_public_url(env: Env) -> str:
    host, port = _read_host_and_port(env)
    default_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    value = (read_optional_url(env, "PUBLIC_URL", ("http", "https")) or default_url).rstrip("/")
    parts = urlsplit(value)
    if not _PUBLIC_URL.fullmatch(value) or not parts.hostname:
        raise SettingsError("PUBLIC_URL must be an address without query, such as https://chime.example.org.")
    return value
