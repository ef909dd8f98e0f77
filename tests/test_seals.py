"""Seals: what only a letter may say is nowhere to be read on its way."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import Rejected
from app.domain.events import Event, Kind, Priority
from app.domain.secrecy import CODE_MINUTES, LETTER, MASK, MASKED_CODE, letter_of, with_code
from app.seals import Seals
from tests.cast import new_id
from tests.fakes import Clock

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


@pytest.mark.parametrize("kind", [Kind.OTP, Kind.PASSWORD_RESET])
def test_of_a_secret_nothing_is_left_but_the_sealed_text(kind: Kind) -> None:
    made = replace(event(kind, "Code 493817"), title="493817 is it", metadata={"code": "493817"})

    hidden = SEALS.hide_secrets(made)

    assert "493817" not in json.dumps(hidden.to_wire(Priority.CRITICAL))
    assert SEALS.open(letter_of(hidden.metadata) or "") == "Code 493817"
    assert hidden.title == f"{MASK} is it"
    assert SEALS.hide_secrets(hidden) == hidden


def test_what_only_looks_sealed_is_sealed() -> None:
    made = replace(event(Kind.OTP, "Code 493817"), metadata={LETTER: "nobody sealed this"})

    hidden = SEALS.hide_secrets(made)

    assert hidden.message == MASKED_CODE
    assert SEALS.open(letter_of(hidden.metadata) or "") == "Code 493817"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param(Kind.SECURITY_ALERT, TEXT, id="another kind"),
        pytest.param(Kind.OTP, None, id="no words"),
    ],
)
def test_what_has_no_secret_needs_no_seal(kind: Kind, message: str | None) -> None:
    assert letter_of(SEALS.hide_secrets(event(kind, message)).metadata) is None


def frame_of(kind: Kind, seals: Seals) -> dict[str, Any]:
    hidden = seals.hide_secrets(event(kind, "Code 493817"))
    frame = {"type": kind.value, "message": hidden.message}
    return with_code(frame, letter_of(hidden.metadata))


def test_a_code_is_shown_to_its_owner_while_it_is_good() -> None:
    clock = Clock()
    seals = Seals("a secret of all processes", clock.now)
    frame = frame_of(Kind.OTP, seals)
    assert "493817" not in json.dumps(frame)

    clock.forward(CODE_MINUTES * 60)
    assert seals.reveal(frame) == {"type": "OTP", "message": "Code 493817"}
    clock.forward(1)
    assert seals.reveal(frame) == {"type": "OTP", "message": MASKED_CODE}


def test_a_code_sealed_by_another_stays_masked() -> None:
    frame = frame_of(Kind.OTP, Seals("another"))

    assert SEALS.reveal(frame) == {"type": "OTP", "message": MASKED_CODE}


def test_a_reset_is_never_in_a_frame() -> None:
    assert frame_of(Kind.PASSWORD_RESET, SEALS) == {"type": "PASSWORD_RESET", "message": None}
