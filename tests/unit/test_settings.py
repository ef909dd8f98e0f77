"""Settings: defaults, formats, and the errors that stop the start."""

from email.headerregistry import Address
from pathlib import Path
from typing import Protocol

import pytest
from gunicorn.util import parse_address

from app.operations.retention_categories import TOMBSTONE_RETENTION_DAYS
from app.setting_readers import SettingsError
from app.settings import (
    MIN_READ_NOTIFICATION_RETENTION_DAYS,
    KafkaTopicSettings,
    RetentionSettings,
    Settings,
    load_settings,
)

VALID_ENVIRONMENT = {
    "DATABASE_URL": "postgresql://me:secret@localhost:5432/notifications",
    "REDIS_URL": "redis://localhost:6379/0",
    "KAFKA_BOOTSTRAP_SERVERS": "one:9092, two:9092",
    "DYNAMODB_ENDPOINT_URL": "http://localhost:8001",
    "APP_MODE": "testing",
}
SECRET = "a secret of at least thirty-two bytes"
PRODUCTION = {"APP_MODE": "production", "JWT_SECRET_KEY": SECRET, "SECRET_KEY": SECRET}


class LoadSettings(Protocol):
    def __call__(self, **changes: str | None) -> Settings: ...


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LoadSettings:
    """Loads the settings from VALID_ENVIRONMENT and changes to it; None removes a variable."""
    for name in ("AWS_REGION", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # without a .env

    def load_with(**changes: str | None) -> Settings:
        values = {**VALID_ENVIRONMENT, "DATA_DIR": str(tmp_path / "data"), **changes}
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load_settings()

    return load_with


def test_defaults_are_those_of_the_contract(load: LoadSettings) -> None:
    settings = load()

    rules = settings.window_rules
    assert (rules.window_seconds, rules.jitter_seconds, rules.instant_likes) == (120, 30, 3)
    assert (rules.group_max_hours, rules.flush_max_rows) == (12, 10_000)
    assert (settings.limits.ingress_max_entries, settings.limits.fallback_max_retries) == (10**6, 5)
    assert (settings.breakers.failure_threshold, settings.breakers.reset_seconds) == (5, 10)
    assert settings.retention == RetentionSettings(interval_seconds=3600, read_notification_days=90)
    assert list(settings.kafka.partitions.values())[:4] == [3, 6, 6, 6]
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8000)
    assert (settings.web.access_token_minutes, settings.web.refresh_token_days) == (15, 30)
    assert settings.web.rate_limits.registration == "1000 per hour"
    assert settings.mail_from == Address("Notifications", addr_spec="notifications@localhost")
    assert settings.public_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("value", "sender"),
    [
        ("us@example.org", Address("", addr_spec="us@example.org")),
        ('"Chime, Inc." <us@example.org>', Address("Chime, Inc.", addr_spec="us@example.org")),
        ("Schöne Grüße <us@example.org>", Address("Schöne Grüße", addr_spec="us@example.org")),
    ],
)
def test_mail_sender_has_a_name_and_an_address(load: LoadSettings, value: str, sender: Address) -> None:
    assert load(MAIL_FROM=value).mail_from == sender


@pytest.mark.parametrize(
    ("changes", "public_url"),
    [
        ({"PUBLIC_URL": "https://chime.example.org/"}, "https://chime.example.org"),
        ({"PUBLIC_URL": "https://example.org/chime/"}, "https://example.org/chime"),
        ({"PUBLIC_URL": "", "PORT": "9001"}, "http://127.0.0.1:9001"),
        ({"HOST": "::1"}, "http://[::1]:8000"),
    ],
)
def test_links_use_the_public_url(load: LoadSettings, changes: dict[str, str], public_url: str) -> None:
    assert load(**changes).public_url == public_url


def test_production_mode_is_the_default_and_stricter(load: LoadSettings) -> None:
    settings = load(**PRODUCTION | {"APP_MODE": None})

    assert not settings.web.is_testing
    assert settings.web.rate_limits.registration == "3 per hour"


def test_list_settings_are_split(load: LoadSettings) -> None:
    settings = load(CORS_ORIGINS="https://one.example, https://two.example,")

    assert settings.service_urls.kafka_connection.bootstrap_servers == ("one:9092", "two:9092")
    assert settings.web.cors_origins == ("https://one.example", "https://two.example")


def test_seconds_may_be_fractional(load: LoadSettings) -> None:
    rules = load(AGGREGATION_WINDOW_SECONDS="1.5", AGGREGATION_JITTER_SECONDS="0.25").window_rules

    assert (rules.window_seconds, rules.jitter_seconds) == (1.5, 0.25)


def test_env_file_supplies_what_the_environment_lacks(load: LoadSettings, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nHOST=0.0.0.0\n")

    web = load(PORT="9002").web

    assert (web.host, web.port) == ("0.0.0.0", 9002)  # noqa: S104


@pytest.mark.parametrize(
    ("host", "bind_address"), [("127.0.0.1", "127.0.0.1:8000"), ("::1", "[::1]:8000"), ("::", "[::]:8000")]
)
def test_gunicorn_parses_the_bind_address(load: LoadSettings, host: str, bind_address: str) -> None:
    settings = load(HOST=host)

    assert settings.web.bind_address == bind_address
    assert parse_address(bind_address) == (host, 8000)


def test_dynamodb_without_endpoint_uses_the_region(load: LoadSettings) -> None:
    settings = load(DYNAMODB_ENDPOINT_URL=None, AWS_REGION="eu-central-1")

    assert settings.service_urls.dynamodb_endpoint_url is None
    assert settings.service_urls.aws_region == "eu-central-1"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("DATABASE_URL", None, "postgresql://", id="no database"),
        pytest.param("DATABASE_URL", "", "postgresql://", id="an empty address"),
        pytest.param("DATABASE_URL", "nonsense", "postgresql://", id="no URL"),
        pytest.param("DATABASE_URL", "mysql://me@host/n", "postgresql://", id="another database"),
        pytest.param("REDIS_URL", None, "redis://", id="no Redis"),
        pytest.param("REDIS_URL", "localhost:6379", "redis://", id="Redis without its scheme"),
        pytest.param("KAFKA_BOOTSTRAP_SERVERS", None, "host:9092", id="no Kafka"),
        pytest.param("KAFKA_BOOTSTRAP_SERVERS", ",", "host:9092", id="a list of no servers"),
        pytest.param("KAFKA_BOOTSTRAP_SERVERS", "kafka", "host:9092", id="a server without a port"),
        pytest.param("DYNAMODB_ENDPOINT_URL", None, "AWS_REGION", id="no DynamoDB"),
        pytest.param("DYNAMODB_ENDPOINT_URL", "", "AWS_REGION", id="an empty endpoint"),
        pytest.param("RATE_LIMIT_LOGIN", "often", "5 per 15 minutes", id="no such limit"),
        pytest.param("TRUSTED_PROXIES", "me", "networks", id="no such proxy"),
        pytest.param("SMTP_URL", "mail:25", "smtp://", id="a mail server without its scheme"),
        pytest.param("SMS_WEBHOOK_URL", "file:///x", "http", id="a webhook that is a file"),
        pytest.param("MAIL_FROM", "Chime", "<notifications@", id="a sender without an address"),
        pytest.param("MAIL_FROM", "a@b, c@d", "<notifications@", id="two senders"),
        pytest.param("MAIL_FROM", "us@exämple.org", "<notifications@", id="a sender that is not ASCII"),
        pytest.param("PUBLIC_URL", "chime.example.org", "http", id="an address without scheme"),
        pytest.param("PUBLIC_URL", "https://", "without query", id="no host"),
        pytest.param("PUBLIC_URL", "https://a.b/?x=1", "without query", id="a query"),
        pytest.param("PUBLIC_URL", "https://a.b/<x>", "without query", id="an angle bracket"),
        pytest.param("PUBLIC_URL", "https://" + "a" * 301, "without query", id="too long"),
        pytest.param("PORT", "http", "integer", id="a text as port"),
        pytest.param("PORT", "0", "less than or equal to 65535", id="port zero"),
        pytest.param("PORT", "65536", "less than or equal to 65535", id="a port that is too high"),
        pytest.param("APP_MODE", "prod", "production, testing", id="an unknown mode"),
        pytest.param("AGGREGATION_WINDOW_SECONDS", "soon", "number", id="a text as seconds"),
        pytest.param("AGGREGATION_WINDOW_SECONDS", "nan", "nan", id="no number"),
        pytest.param("AGGREGATION_WINDOW_SECONDS", "-1", "greater than or equal to 0", id="negative seconds"),
        pytest.param("AGGREGATION_JITTER_SECONDS", "121", "WINDOW", id="more jitter than window"),
        pytest.param("INSTANT_LIKE_THRESHOLD", "-1", "greater than or equal to 0", id="negative threshold"),
        pytest.param("INSTANT_LIKE_THRESHOLD", "2.5", "integer", id="half a like"),
        pytest.param("GROUP_MAX_HOURS", "-1", "greater than or equal to 0", id="negative hours"),
        pytest.param("FLUSH_MAX_ROWS", "0", "greater than or equal to 1", id="no rows"),
        pytest.param("INGRESS_MAX_LENGTH", "0", "greater than or equal to 1", id="no ingress"),
        pytest.param("FALLBACK_MAX_RETRIES", "-1", "greater than or equal to 0", id="negative retries"),
        pytest.param(
            "RETENTION_INTERVAL_SECONDS", "-1", "greater than or equal to 0", id="a negative interval"
        ),
        pytest.param(
            "READ_NOTIFICATION_RETENTION_DAYS",
            "8",
            "greater than or equal to 9",
            id="shorter than a tombstone",
        ),
        pytest.param("MEMBERSHIP_CACHE_MAX", "0", "greater than or equal to 1", id="no members"),
        pytest.param(
            "MEMBERSHIP_CACHE_IDLE_SECONDS",
            "4",
            "greater than or equal to 5.0",
            id="idle for less than a load",
        ),
        pytest.param("BREAKER_FAILURES", "0", "greater than or equal to 1", id="no failures"),
        pytest.param("BREAKER_RESET_SECONDS", "0", "greater than or equal to 0.1", id="no reset"),
        pytest.param(
            "KAFKA_PARTITIONS_CRITICAL", "0", "greater than or equal to 1", id="no critical partitions"
        ),
        pytest.param("KAFKA_PARTITIONS_HIGH", "six", "integer", id="a text as partitions"),
        pytest.param("KAFKA_PARTITIONS_LOW", "-6", "greater than or equal to 1", id="negative partitions"),
        pytest.param("KAFKA_PARTITIONS_READY", "0", "greater than or equal to 1", id="no ready partitions"),
        pytest.param("KAFKA_REPLICATION_FACTOR", "0", "greater than or equal to 1", id="no replica"),
        pytest.param(
            "JWT_ACCESS_MINUTES", "0", "greater than or equal to 0.01", id="tokens that are never valid"
        ),
        pytest.param("JWT_REFRESH_DAYS", "-1", "greater than or equal to 0.01", id="negative days"),
        pytest.param("JWT_SECRET_KEY", "short", "32", id="a short secret"),
        pytest.param("SECRET_KEY", "short", "32", id="another short secret"),
        pytest.param("RATE_LIMIT_ENABLED", "perhaps", "boolean", id="neither true nor false"),
        pytest.param("LOG_LEVEL", "loud", "debug, info", id="an unknown level"),
        pytest.param("LOG_FORMAT", "xml", "json", id="an unknown format"),
    ],
)
def test_invalid_value_stops_the_start(
    load: LoadSettings, name: str, value: str | None, expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load(**{name: value})

    message = str(error.value)
    assert name in message
    assert expected in message
    assert "\n" not in message


def test_nothing_is_deleted_while_kafka_may_deliver_its_events_again() -> None:
    kafka_days = KafkaTopicSettings({}, 1).retention_ms / 1000 / 3600 / 24

    assert kafka_days < TOMBSTONE_RETENTION_DAYS < MIN_READ_NOTIFICATION_RETENTION_DAYS


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "SECRET_KEY"])
def test_secrets_are_required_in_production(load: LoadSettings, name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(**PRODUCTION | {name: None})


def test_secret_is_generated_once_and_kept_in_testing(load: LoadSettings) -> None:
    first, second = (load(JWT_SECRET_KEY=None, SECRET_KEY=None).web.jwt_secret_key for _ in range(2))

    assert first == second
    assert len(first) >= 32


def test_generated_secret_is_readable_by_its_owner_only(load: LoadSettings, tmp_path: Path) -> None:
    load(JWT_SECRET_KEY=None, SECRET_KEY=None)

    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "data").glob("*.txt")}
    assert modes == {0}


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_settings_error_contains_no_secret(load: LoadSettings, name: str) -> None:
    """The addresses contain passwords."""
    with pytest.raises(SettingsError, match=name) as error:
        load(**{name: "scheme://me:hunter2@host/0"})

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://me:hunter@hunter2@host/n"),
        ("DATABASE_URL", "postgresql://me:pass@hunter2:word@host/n"),
        ("REDIS_URL", "redis://:hunter2/word@host:6379/0"),
        ("REDIS_URL", "rediss://me:pass@hunter2@host"),
    ],
)
def test_address_with_an_unescaped_password_is_refused_without_showing_it(
    load: LoadSettings, name: str, url: str
) -> None:
    """The drivers would show parts of it in their errors."""
    with pytest.raises(SettingsError, match="percent-encoded") as error:
        load(**{name: url})

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (
            "DATABASE_URL",
            "postgresql+psycopg2://me:a%40b@[::1]:5432/n?sslmode=verify-full&sslrootcert=/ca.pem",
        ),
        ("DATABASE_URL", "postgres:///n?host=/var/run/postgresql"),
        ("DATABASE_URL", "postgresql://host"),
        ("REDIS_URL", "rediss://me:a%40b@redis.example.org:6380/0?ssl_ca_certs=/ca.pem"),
        ("REDIS_URL", "redis://:a%2Fb@[::1]:6379"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
    ],
)
def test_address_with_tls_options_is_accepted(load: LoadSettings, name: str, url: str) -> None:
    assert load(**{name: url}).service_urls.as_environment()[name] == url


def test_text_of_the_settings_contains_no_secret(load: LoadSettings) -> None:
    secrets = {
        "DATABASE_URL": "postgresql://me:hunter2@host/n",
        "REDIS_URL": "redis://:hunter2@host",
        "SMTP_URL": "smtp://me:hunter2@host",
        "SMS_WEBHOOK_URL": "https://host/?key=hunter2",
        "METRICS_TOKEN": "hunter2",
        "SECRET_KEY": "hunter2" * 6,
        "JWT_SECRET_KEY": "hunter2" * 6,
    }

    assert "hunter2" not in repr(load(**secrets))


def test_passwords_of_the_services_are_known_in_both_forms(load: LoadSettings) -> None:
    settings = load(DATABASE_URL="postgresql://me:first%40one@host/n", REDIS_URL="redis://:second@host")

    assert {"first@one", "first%40one", "second"} <= set(settings.service_urls.passwords())


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("your-secret-key-your-secret-key-your", id="from an example"),
        pytest.param("a" * 40, id="one letter"),
        pytest.param("1234567" * 6, id="a pattern"),
    ],
)
def test_placeholder_secret_is_refused_in_production(load: LoadSettings, secret: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(APP_MODE="production", SECRET_KEY=secret)
    assert "SECRET_KEY" in str(error.value)
    assert secret not in str(error.value)
