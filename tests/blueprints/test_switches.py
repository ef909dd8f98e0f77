"""The switches of the embedded services: only ours, one command at a time, and what the page sees.

On a DynamoDB of their own: the other tests' services are nobody's toy.
"""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from app.domain.errors import Rejected, Unavailable
from app.switches import BUSY, NOT_OURS, Switches, Verb
from infra.services import Services
from tests.services.crew import until

pytestmark = pytest.mark.service
SECONDS = 90.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("switches"))
    services.start("dynamodb")
    yield services
    services.stop("dynamodb")


@pytest.fixture
def switches(own: Services) -> Switches:
    return Switches(own.layout.data_dir, own.env("dynamodb"))


def _comes_to(switches: Switches, state: str) -> None:
    def there() -> bool:
        gevent.sleep(0.05)  # commands are greenlets
        one = switches.states()["dynamodb"]
        assert one.trouble is None, one.trouble
        return one.state == state and one.doing is None

    until(there, SECONDS, state)


def test_a_service_is_frozen_woken_killed_and_started(switches: Switches) -> None:
    for verb, state in (
        (Verb.PAUSE, "paused"),
        (Verb.RESUME, "running"),
        (Verb.KILL, "stopped"),
        (Verb.START, "running"),
    ):
        switches.turn("dynamodb", verb)
        _comes_to(switches, state)


def test_what_a_setting_points_elsewhere_is_not_ours(own: Services) -> None:
    switches = Switches(own.layout.data_dir, {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1"})

    assert switches.states() == {}
    with pytest.raises(Rejected, match=str(NOT_OURS)):
        switches.turn("dynamodb", Verb.STOP)
    assert own.status("dynamodb")["dynamodb"].state == "running"


def test_a_folder_where_nothing_was_ever_started_has_no_switches(tmp_path: Path) -> None:
    assert Switches(tmp_path, {"REDIS_URL": "redis://127.0.0.1:1/0"}).states() == {}


def test_states_that_are_too_old_are_not_told(
    own: Services, switches: Switches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once seen, and then no look succeeds any more."""
    assert switches.states()["dynamodb"].state == "running"
    kept = own.layout.ports.read_text()
    own.layout.ports.write_text("damaged")
    monkeypatch.setattr("app.switches.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("app.switches.MAX_AGE_SECONDS", 0.0)
    try:
        with pytest.raises(Unavailable):
            switches.states()
    finally:
        own.layout.ports.write_text(kept)


def test_a_second_command_waits_for_the_first_and_a_repeated_one_changes_nothing(
    switches: Switches,
) -> None:
    assert set(switches.states()) == {"dynamodb"}
    switches.turn("dynamodb", Verb.RESUME)
    switches.turn("dynamodb", Verb.RESUME)
    with pytest.raises(Rejected, match=str(BUSY)):
        switches.turn("dynamodb", Verb.STOP)
    _comes_to(switches, "running")


def test_a_command_gets_none_of_our_secrets(
    switches: Switches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", "a secret that a service must not have")
    monkeypatch.setenv("NOTIFICATIONS_RUN", "the mark of a run, whose leftovers are ended")

    handed_on = switches.environment()

    assert "JWT_SECRET_KEY" not in handed_on
    assert "NOTIFICATIONS_RUN" not in handed_on
