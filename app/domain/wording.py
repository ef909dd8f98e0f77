"""Words: a group -> the line a person reads."""

import regex

from app.domain.events import COMMENT_KINDS, Kind
from app.domain.text import truncate

_DOINGS = {
    Kind.LIKE: ("liked your post", "like"),
    Kind.COMMENT: ("commented on your post", "comment"),
    Kind.COMMENT_REPLY: ("replied to your comment", "reply"),
    Kind.FOLLOW: ("started following you", "follower"),
    Kind.POST_SHARE: ("shared your post", "share"),
    Kind.STORY_VIEW: ("viewed your story", "story view"),
    Kind.BELL_POST: ("posted something new", "post"),
    Kind.MENTION: ("mentioned you", "mention"),
    Kind.POST_UPDATED: ("updated a post", "updated post"),
}
_PLURALS = {"reply": "replies"}
_NOTICES = {
    Kind.OTP: ("Your log-in code", "Use this code to finish logging in."),
    Kind.PASSWORD_RESET: ("Password reset", "A password reset was requested for your account."),
    Kind.SECURITY_ALERT: ("Security alert", "Something about your account's security changed."),
    Kind.MARKETING: ("News", "There is something new for you."),
    Kind.DIGEST: ("Your digest", "What you missed."),
}
_DIRECTION_CONTROL = regex.compile(r"\p{Bidi_Control}")
_BREAKS = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}]+")
_RIGHT_TO_LEFT = regex.compile(r"[\p{bc=R}\p{bc=AL}\p{bc=AN}]")


def isolated(name: str) -> str:
    """A name as it is put into a sentence: it cannot change the direction of the words around it.

    A name with right-to-left characters stands between FIRST STRONG ISOLATE and POP DIRECTIONAL
    ISOLATE (UAX #9); any other stays as it is. Direction controls are removed, because an unmatched
    one would end the isolate; line breaks and other controls become spaces.
    """
    plain = _BREAKS.sub(" ", _DIRECTION_CONTROL.sub("", name)).strip()
    return _between_isolates(plain) if _RIGHT_TO_LEFT.search(plain) else plain


def _quoted(text: str, mark: str = '"') -> str:
    """The quotation with its marks; isolated where it could turn them or what follows."""
    quote = f"{mark}{truncate(text)}{mark}"
    turns = _RIGHT_TO_LEFT.search(quote) or _DIRECTION_CONTROL.search(quote)
    return _between_isolates(quote) if turns else quote


def _between_isolates(text: str) -> str:
    return f"\u2068{text}\u2069"


def line(kind: Kind, first: str, others: int) -> str:
    """`Hana and 7 others liked your post`. `others` counts the rest of the whole group."""
    doing, first = _DOINGS[kind][0], isolated(first)
    if others <= 0:
        return f"{first} {doing}"
    return f"{first} and {others:,} {'other' if others == 1 else 'others'} {doing}"


def single(kind: Kind, first: str, text: str | None) -> str:
    """One actor's doing; a comment, a mention and a new post carry their own text."""
    if not text:
        return line(kind, first, 0)
    name = isolated(first)
    if kind in COMMENT_KINDS:
        verb = "commented" if kind is Kind.COMMENT else "replied"
        return f"{name} {verb}: {_quoted(text)}"
    if kind is Kind.BELL_POST:
        return f"{name} posted: {_quoted(text, mark='')}"
    if kind is Kind.MENTION:
        return f"{name} mentioned you: {_quoted(text)}"
    return line(kind, first, 0)


def title(kind: Kind, count: int) -> str:
    """`New Like` for one, `5 new likes` for more, the notice's own for what has no actors."""
    if kind in _NOTICES:
        return _NOTICES[kind][0]
    noun = _DOINGS[kind][1]
    if count <= 1:
        return f"New {noun.title()}"
    return f"{count:,} new {_PLURALS.get(noun, noun + 's')}"


def notice(kind: Kind) -> str:
    """The text of a notice that came without one."""
    return _NOTICES[kind][1]
