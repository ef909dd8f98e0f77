"""Seals: what only a letter may say is nowhere to be read on its way."""

import pytest

from app.domain.errors import Rejected
from app.domain.events import Event, Kind
from app.domain.secrecy import letter_of
from app.seals import Seals
from tests.cast import new_id

SEALS = Seals("a secret of all processes")
TEXT = "Go on with token=abc-123"


def event(kind: Kind, message: str | None) -> Event:
    return Event(new_id(), kind, new_id(), message=message, metadata={"a": 1})


def test_who_has_the_key_reads_it_and_nobody_else() -> None:
    sealed = SEALS.close(TEXT)
    assert "abc-123" not in sealed
    assert SEALS.open(sealed) == TEXT
    for other, text in ((Seals("another"), sealed), (SEALS, sealed[:-4]), (SEALS, "é")):
        with pytest.raises(Rejected):
            other.open(text)


def test_a_hidden_event_says_so_in_its_letter_alone() -> None:
    hidden = SEALS.hide(event(Kind.PASSWORD_RESET, TEXT), "Look into your e-mail")
    assert hidden.message == "Look into your e-mail"
    assert hidden.metadata["a"] == 1
    sealed = letter_of(hidden.metadata)
    assert sealed is not None
    assert SEALS.open(sealed) == TEXT


@pytest.mark.parametrize(
    ("kind", "message", "hides"),
    [
        pytest.param(Kind.PASSWORD_RESET, TEXT, True, id="a token in a reset"),
        pytest.param(Kind.PASSWORD_RESET, "Somebody asked", False, id="a reset without one"),
        pytest.param(Kind.PASSWORD_RESET, None, False, id="no words"),
        pytest.param(Kind.SECURITY_ALERT, TEXT, False, id="another kind"),
    ],
)
def test_other_servers_tokens_are_hidden(kind: Kind, message: str | None, hides: bool) -> None:
    made = event(kind, message)
    assert (SEALS.hide_tokens(made) != made) is hides
