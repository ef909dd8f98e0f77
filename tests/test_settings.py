"""Settings: what is wrong stops the start, in one sentence with its name and what is expected."""

from pathlib import Path

import pytest
from gunicorn.util import parse_address

from app.domain.mail import Sender
from app.settings import BadSetting, Settings, load

GOOD = {
    "DATABASE_URL": "postgresql://me:secret@localhost:5432/notifications",
    "REDIS_URL": "redis://localhost:6379/0",
    "KAFKA_BOOTSTRAP_SERVERS": "one:9092, two:9092",
    "DYNAMODB_ENDPOINT_URL": "http://localhost:8001",
    "APP_MODE": "testing",
}
SECRET = "a secret of at least thirty-two bytes"
PRODUCTION = {"APP_MODE": "production", "JWT_SECRET_KEY": SECRET, "SECRET_KEY": SECRET}


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Starts with nothing in the environment but what it is given; None takes a name away."""
    for name in ("AWS_REGION", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # where no .env lies

    def start(**changes: str | None) -> Settings:
        values = {**GOOD, "DATA_DIR": str(tmp_path / "data"), **changes}
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load()

    return start


def test_the_defaults_are_those_of_the_contract(start) -> None:
    settings = start()

    rules = settings.rules
    assert (rules.window_seconds, rules.jitter_seconds, rules.instant_likes) == (120, 30, 3)
    assert (rules.group_max_hours, rules.flush_max_rows) == (12, 10_000)
    assert (settings.limits.ingress_max_length, settings.limits.fallback_max_retries) == (10**6, 5)
    assert (settings.breakers.failures, settings.breakers.reset_seconds) == (5, 10)
    assert list(settings.kafka.partitions.values())[:4] == [3, 6, 6, 6]
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8000)
    assert (settings.web.access_minutes, settings.web.refresh_days) == (15, 30)
    assert settings.web.rate_limit_register == "1000 per hour"
    assert settings.mail_from == Sender("Notifications", "notifications@localhost")
    assert settings.public_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("us@example.org", Sender("", "us@example.org")),
        ('"Chime, Inc." <us@example.org>', Sender("Chime, Inc.", "us@example.org")),
        ("Schöne Grüße <us@example.org>", Sender("Schöne Grüße", "us@example.org")),
    ],
)
def test_the_sender_has_a_name_and_an_address(start, given: str, found: Sender) -> None:
    assert start(MAIL_FROM=given).mail_from == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"PUBLIC_URL": "https://chime.example.org/"}, "https://chime.example.org"),
        ({"PUBLIC_URL": "https://example.org/chime/"}, "https://example.org/chime"),
        ({"PUBLIC_URL": "", "PORT": "9001"}, "http://127.0.0.1:9001"),
        ({"HOST": "::1"}, "http://[::1]:8000"),
    ],
)
def test_links_lead_to_the_public_address(start, given: dict[str, str], found: str) -> None:
    assert start(**given).public_url == found


def test_production_is_the_default_and_stricter(start) -> None:
    settings = start(**PRODUCTION | {"APP_MODE": None})

    assert not settings.web.testing
    assert settings.web.rate_limit_register == "3 per hour"


def test_lists_are_split(start) -> None:
    settings = start(CORS_ORIGINS="https://one.example, https://two.example,")

    assert settings.addresses.kafka_bootstrap_servers == ("one:9092", "two:9092")
    assert settings.web.cors_origins == ("https://one.example", "https://two.example")


def test_fractions_of_a_second_are_allowed(start) -> None:
    rules = start(AGGREGATION_WINDOW_SECONDS="1.5", AGGREGATION_JITTER_SECONDS="0.25").rules

    assert (rules.window_seconds, rules.jitter_seconds) == (1.5, 0.25)


def test_a_file_gives_what_the_environment_does_not(start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nHOST=0.0.0.0\n")

    web = start(PORT="9002").web

    assert (web.host, web.port) == ("0.0.0.0", 9002)  # noqa: S104


@pytest.mark.parametrize(
    ("host", "bind"), [("127.0.0.1", "127.0.0.1:8000"), ("::1", "[::1]:8000"), ("::", "[::]:8000")]
)
def test_gunicorn_reads_the_host_and_port_back_from_bind(start, host: str, bind: str) -> None:
    settings = start(HOST=host)

    assert settings.web.bind == bind
    assert parse_address(bind) == (host, 8000)


def test_without_an_endpoint_dynamodb_is_that_of_the_region(start) -> None:
    settings = start(DYNAMODB_ENDPOINT_URL=None, AWS_REGION="eu-central-1")

    assert settings.addresses.dynamodb_endpoint_url is None
    assert settings.addresses.aws_region == "eu-central-1"


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
        pytest.param("MAIL_FROM", "us@exämple.org", "<notifications@", id="a sender beyond ASCII"),
        pytest.param("PUBLIC_URL", "chime.example.org", "http", id="an address without scheme"),
        pytest.param("PUBLIC_URL", "https://", "without query", id="no host"),
        pytest.param("PUBLIC_URL", "https://a.b/?x=1", "without query", id="a query"),
        pytest.param("PUBLIC_URL", "https://a.b/<x>", "without query", id="an angle bracket"),
        pytest.param("PUBLIC_URL", "https://" + "a" * 301, "without query", id="no end"),
        pytest.param("PORT", "http", "integer", id="a word as port"),
        pytest.param("PORT", "0", "1 to 65535", id="port zero"),
        pytest.param("PORT", "65536", "1 to 65535", id="a port that no machine has"),
        pytest.param("APP_MODE", "prod", "production, testing", id="an unknown mode"),
        pytest.param("AGGREGATION_WINDOW_SECONDS", "soon", "number", id="a word as seconds"),
        pytest.param("AGGREGATION_WINDOW_SECONDS", "nan", "nan", id="no number"),
        pytest.param("AGGREGATION_WINDOW_SECONDS", "-1", "0.0 or more", id="before it began"),
        pytest.param("AGGREGATION_JITTER_SECONDS", "121", "WINDOW", id="more jitter than window"),
        pytest.param("INSTANT_LIKE_THRESHOLD", "-1", "0 or more", id="negative threshold"),
        pytest.param("INSTANT_LIKE_THRESHOLD", "2.5", "integer", id="half a like"),
        pytest.param("GROUP_MAX_HOURS", "-1", "0.0 or more", id="negative hours"),
        pytest.param("FLUSH_MAX_ROWS", "0", "1 or more", id="no rows"),
        pytest.param("INGRESS_MAX_LENGTH", "0", "1 or more", id="no ingress"),
        pytest.param("FALLBACK_MAX_RETRIES", "-1", "0 or more", id="negative retries"),
        pytest.param("BREAKER_FAILURES", "0", "1 or more", id="no failures"),
        pytest.param("BREAKER_RESET_SECONDS", "0", "0.1 or more", id="no reset"),
        pytest.param("KAFKA_PARTITIONS_CRITICAL", "0", "1 or more", id="no critical partitions"),
        pytest.param("KAFKA_PARTITIONS_HIGH", "six", "integer", id="a word as partitions"),
        pytest.param("KAFKA_PARTITIONS_LOW", "-6", "1 or more", id="negative partitions"),
        pytest.param("KAFKA_PARTITIONS_READY", "0", "1 or more", id="no ready partitions"),
        pytest.param("KAFKA_REPLICATION_FACTOR", "0", "1 or more", id="no replica"),
        pytest.param("JWT_ACCESS_MINUTES", "0", "0.01 or more", id="tokens dead at birth"),
        pytest.param("JWT_REFRESH_DAYS", "-1", "0.01 or more", id="negative days"),
        pytest.param("JWT_SECRET_KEY", "short", "32", id="a short secret"),
        pytest.param("SECRET_KEY", "short", "32", id="another short secret"),
        pytest.param("RATE_LIMIT_ENABLED", "perhaps", "boolean", id="neither true nor false"),
        pytest.param("LOG_LEVEL", "loud", "debug, info", id="an unknown level"),
        pytest.param("LOG_FORMAT", "xml", "json", id="an unknown format"),
    ],
)
def test_a_bad_value_stops_the_start(start, name: str, value: str | None, expected: str) -> None:
    with pytest.raises(BadSetting) as stopped:
        start(**{name: value})

    sentence = str(stopped.value)
    assert name in sentence
    assert expected in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "SECRET_KEY"])
def test_in_production_secrets_must_be_given(start, name: str) -> None:
    with pytest.raises(BadSetting, match=name):
        start(**PRODUCTION | {name: None})


def test_in_testing_a_secret_is_drawn_once_and_kept(start) -> None:
    first, second = (
        start(JWT_SECRET_KEY=None, SECRET_KEY=None).web.jwt_secret_key for _ in range(2)
    )

    assert first == second
    assert len(first) >= 32


def test_a_kept_secret_is_its_owners_alone(start, tmp_path: Path) -> None:
    start(JWT_SECRET_KEY=None, SECRET_KEY=None)

    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "data").glob("*.txt")}
    assert modes == {0}


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_no_sentence_tells_a_secret(start, name: str) -> None:
    """The addresses carry passwords."""
    with pytest.raises(BadSetting, match=name) as stopped:
        start(**{name: "scheme://me:hunter2@host/0"})

    assert "hunter2" not in str(stopped.value)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("your-secret-key-your-secret-key-your", id="an example's"),
        pytest.param("a" * 40, id="one letter"),
        pytest.param("1234567" * 6, id="a pattern"),
    ],
)
def test_production_takes_no_secret_that_was_typed(start, secret: str) -> None:
    with pytest.raises(BadSetting) as stopped:
        start(APP_MODE="production", SECRET_KEY=secret)
    assert "SECRET_KEY" in str(stopped.value)
    assert secret not in str(stopped.value)
