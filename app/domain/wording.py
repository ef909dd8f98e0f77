"""Words: a group -> the line a person reads."""

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


def line(kind: Kind, first: str, others: int) -> str:
    """`Hana and 7 others liked your post`. `others` counts the rest of the whole group."""
    doing = _DOINGS[kind][0]
    if others <= 0:
        return f"{first} {doing}"
    return f"{first} and {others:,} {'other' if others == 1 else 'others'} {doing}"


def single(kind: Kind, first: str, text: str | None) -> str:
    """One actor's doing; a comment, a mention and a new post carry their own text."""
    if not text:
        return line(kind, first, 0)
    quote = truncate(text)
    if kind in COMMENT_KINDS:
        verb = "commented" if kind is Kind.COMMENT else "replied"
        return f'{first} {verb}: "{quote}"'
    if kind is Kind.BELL_POST:
        return f"{first} posted: {quote}"
    if kind is Kind.MENTION:
        return f'{first} mentioned you: "{quote}"'
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
