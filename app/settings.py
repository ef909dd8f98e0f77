"""All settings, read from the environment and .env (environs): typed, frozen, with units in their names.

A wrong value stops the start with SettingsError. Nothing else in the project reads the environment for
settings.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.headerregistry import Address
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import unquote, urlsplit

from environs import Env, EnvError, validate

from app.domain.windows import AggregationRules
from app.kafka_settings import KafkaConnection, read_kafka_connection
from app.setting_readers import (
    SettingsError,
    check_rate_limit,
    read_choice,
    read_mail_from_address,
    read_networks,
    read_secret,
    read_url,
    scheme_validator,
)

MIN_READ_NOTIFICATION_RETENTION_DAYS = 9
"""Longer than Kafka and the tombstones keep anything: a late copy of an event that is already part of a
notification finds it, or the newer row of its like, and is not announced again."""
_POSITIVE, _NOT_NEGATIVE = validate.Range(min=1), validate.Range(min=0)
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
class RateLimitRules:
    """Each as `5 per 15 minutes`."""

    is_enabled: bool
    login: str
    registration: str
    write: str


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
    rate_limits: RateLimitRules
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
    mail_from: Address
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
    with _open_env() as env:
        return _read_settings(env)


def load_tool_settings() -> ToolSettings:
    """For app/operations/diagnose.py. Raises SettingsError."""
    with _open_env() as env:
        return ToolSettings(_read_service_urls(env), _read_pipeline_limits(env), *_read_host_and_port(env))


def load_database_url() -> str:
    """For the migrations, which need nothing else. Raises SettingsError."""
    with _open_env() as env:
        return read_url(env, "DATABASE_URL")


def load_retention_settings() -> RetentionSettings:
    """For the purge. Raises SettingsError."""
    with _open_env() as env:
        return _read_retention_settings(env)


@contextmanager
def _open_env() -> Iterator[Env]:
    """The environment and .env. What the readers and validators of environs raise becomes SettingsError."""
    env = Env()
    path = Path(os.environ.get("ENV_FILE", ".env"))
    if path.is_file():
        env.read_env(str(path), recurse=False)
    try:
        yield env
    except EnvError as exc:
        raise SettingsError(f"Bad setting: {exc}") from exc


def _read_settings(env: Env) -> Settings:
    mode = read_choice(env, "APP_MODE", "production", ("production", "testing"))
    data_dir = Path(env.str("DATA_DIR", ".data"))
    return Settings(
        service_urls=_read_service_urls(env),
        kafka=KafkaTopicSettings(
            partitions={
                "critical-notifications": env.int("KAFKA_PARTITIONS_CRITICAL", 3, validate=_POSITIVE),
                "high-priority-notifications": env.int("KAFKA_PARTITIONS_HIGH", 6, validate=_POSITIVE),
                "low-priority-notifications": env.int("KAFKA_PARTITIONS_LOW", 6, validate=_POSITIVE),
                "ready-notifications": env.int("KAFKA_PARTITIONS_READY", 6, validate=_POSITIVE),
                "bulk-notifications": env.int("KAFKA_PARTITIONS_BULK", 6, validate=_POSITIVE),
                "dead-letter-notifications": 1,
            },
            replication_factor=env.int("KAFKA_REPLICATION_FACTOR", 1, validate=_POSITIVE),
        ),
        window_rules=_read_aggregation_rules(env),
        breakers=BreakerSettings(
            failure_threshold=env.int("BREAKER_FAILURES", 5, validate=_POSITIVE),
            reset_seconds=env.float("BREAKER_RESET_SECONDS", 10.0, validate=validate.Range(min=0.1)),
        ),
        limits=_read_pipeline_limits(env),
        retention=_read_retention_settings(env),
        web=_read_web_settings(env, mode, data_dir),
        data_dir=data_dir,
        smtp_url=env.str("SMTP_URL", "", validate=scheme_validator("smtp", "smtps")) or None,
        sms_webhook_url=env.str("SMS_WEBHOOK_URL", "", validate=scheme_validator("http", "https")) or None,
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
        ingress_max_entries=env.int("INGRESS_MAX_LENGTH", 1_000_000, validate=_POSITIVE),
        fallback_max_retries=env.int("FALLBACK_MAX_RETRIES", 5, validate=_NOT_NEGATIVE),
        membership_cache_max=env.int("MEMBERSHIP_CACHE_MAX", 20_000, validate=_POSITIVE),
        membership_cache_idle_seconds=env.float(
            "MEMBERSHIP_CACHE_IDLE_SECONDS", 3600.0, validate=validate.Range(min=5.0)
        ),
    )


def _read_retention_settings(env: Env) -> RetentionSettings:
    return RetentionSettings(
        interval_seconds=env.float("RETENTION_INTERVAL_SECONDS", 3600.0, validate=_NOT_NEGATIVE),
        read_notification_days=env.int(
            "READ_NOTIFICATION_RETENTION_DAYS",
            90,
            validate=validate.Range(min=MIN_READ_NOTIFICATION_RETENTION_DAYS),
        ),
    )


def _read_host_and_port(env: Env) -> tuple[str, int]:
    return env.str("HOST", "127.0.0.1"), env.int("PORT", 8000, validate=validate.Range(1, 65_535))


def _read_aggregation_rules(env: Env) -> AggregationRules:
    window_seconds = env.float("AGGREGATION_WINDOW_SECONDS", 120.0, validate=_NOT_NEGATIVE)
    jitter_seconds = env.float("AGGREGATION_JITTER_SECONDS", 30.0, validate=_NOT_NEGATIVE)
    if jitter_seconds > window_seconds:
        raise SettingsError(
            "AGGREGATION_JITTER_SECONDS must not exceed AGGREGATION_WINDOW_SECONDS: "
            "a window cannot end before it begins."
        )
    return AggregationRules(
        instant_likes=env.int("INSTANT_LIKE_THRESHOLD", 3, validate=_NOT_NEGATIVE),
        window_seconds=window_seconds,
        jitter_seconds=jitter_seconds,
        group_max_hours=env.float("GROUP_MAX_HOURS", 12.0, validate=_NOT_NEGATIVE),
        flush_max_rows=env.int("FLUSH_MAX_ROWS", 10_000, validate=_POSITIVE),
    )


def _read_web_settings(env: Env, mode: str, data_dir: Path) -> WebSettings:
    host, port = _read_host_and_port(env)
    return WebSettings(
        host=host,
        port=port,
        mode=mode,
        jwt_secret_key=read_secret(env, "JWT_SECRET_KEY", mode, data_dir),
        secret_key=read_secret(env, "SECRET_KEY", mode, data_dir),
        access_token_minutes=env.float("JWT_ACCESS_MINUTES", 15.0, validate=validate.Range(min=0.01)),
        refresh_token_days=env.float("JWT_REFRESH_DAYS", 30.0, validate=validate.Range(min=0.01)),
        cors_origins=tuple(
            origin.strip() for origin in env.str("CORS_ORIGINS", "").split(",") if origin.strip()
        ),
        rate_limits=_read_rate_limit_rules(env, mode),
        metrics_token=env.str("METRICS_TOKEN", None) or None,
        trusted_proxies=read_networks(env, "TRUSTED_PROXIES"),
    )


def _read_rate_limit_rules(env: Env, mode: str) -> RateLimitRules:
    default_register_rate = "3 per hour" if mode == "production" else "1000 per hour"
    return RateLimitRules(
        is_enabled=env.bool("RATE_LIMIT_ENABLED", True),
        login=env.str("RATE_LIMIT_LOGIN", "5 per 15 minutes", validate=check_rate_limit),
        registration=env.str("RATE_LIMIT_REGISTER", default_register_rate, validate=check_rate_limit),
        write=env.str("RATE_LIMIT_WRITE", "120 per minute", validate=check_rate_limit),
    )


def _read_public_url(env: Env) -> str:
    host, port = _read_host_and_port(env)
    default_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    value = (env.str("PUBLIC_URL", "") or default_url).rstrip("/")
    if not _PUBLIC_URL.fullmatch(value) or not urlsplit(value).hostname:
        raise SettingsError("PUBLIC_URL must be an address without query, such as https://chime.example.org.")
    return value
