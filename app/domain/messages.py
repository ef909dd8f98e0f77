"""The texts of notifications: kind, actor name and counts in, title and sentence out."""

import regex

from app.domain.events import COMMENT_KINDS, Kind
from app.domain.text import truncate_graphemes

_VERB_AND_NOUN_BY_KIND = {
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
_IRREGULAR_PLURALS = {"reply": "replies"}
_DEFAULT_TITLE_AND_TEXT_BY_KIND = {
    Kind.OTP: ("Your log-in code", "Use this code to finish logging in."),
    Kind.PASSWORD_RESET: ("Password reset", "A password reset was requested for your account."),
    Kind.SECURITY_ALERT: ("Security alert", "Something about your account's security changed."),
    Kind.MARKETING: ("News", "There is something new for you."),
    Kind.DIGEST: ("Your digest", "What you missed."),
}
_DIRECTION_CONTROL = regex.compile(r"\p{Bidi_Control}")
_LINE_BREAKS_AND_CONTROLS = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}]+")
_RIGHT_TO_LEFT_CHAR = regex.compile(r"[\p{bc=R}\p{bc=AL}\p{bc=AN}]")


def isolate_name_direction(name: str) -> str:
    """A name for use in a sentence: it cannot change the direction of the text around it.

    A name with right-to-left characters is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE
    (UAX #9). Direction controls are removed, because an unmatched one would end the isolate; line breaks and
    other controls become spaces.
    """
    cleaned = _LINE_BREAKS_AND_CONTROLS.sub(" ", _DIRECTION_CONTROL.sub("", name)).strip()
    return _wrap_in_isolates(cleaned) if _RIGHT_TO_LEFT_CHAR.search(cleaned) else cleaned


def _quote_and_truncate(text: str, quote_mark: str = '"') -> str:
    """The text in quotation marks, isolated if it could change the direction of what follows."""
    quoted_text = f"{quote_mark}{truncate_graphemes(text)}{quote_mark}"
    changes_direction = _RIGHT_TO_LEFT_CHAR.search(quoted_text) or _DIRECTION_CONTROL.search(quoted_text)
    return _wrap_in_isolates(quoted_text) if changes_direction else quoted_text


def _wrap_in_isolates(text: str) -> str:
    return f"\u2068{text}\u2069"


def action_text(kind: Kind) -> str:
    """What an actor did, such as `liked your post`. For kinds with actors."""
    return _VERB_AND_NOUN_BY_KIND[kind][0]


def action_noun(kind: Kind) -> str:
    """What an actor's event is called, such as `like`. For kinds with actors."""
    return _VERB_AND_NOUN_BY_KIND[kind][1]


def group_notification_text(kind: Kind, first_actor_name: str, other_count: int) -> str:
    """Such as `Hana and 7 others liked your post`. `other_count` counts the rest of the whole group."""
    verb, first_actor_name = _VERB_AND_NOUN_BY_KIND[kind][0], isolate_name_direction(first_actor_name)
    if other_count <= 0:
        return f"{first_actor_name} {verb}"
    return f"{first_actor_name} and {other_count:,} {'other' if other_count == 1 else 'others'} {verb}"


def single_actor_notification_text(kind: Kind, actor_name: str, text: str | None) -> str:
    """The text of one actor's event; comments, mentions and new posts are quoted."""
    if not text:
        return group_notification_text(kind, actor_name, 0)
    isolated_name = isolate_name_direction(actor_name)
    if kind in COMMENT_KINDS:
        verb = "commented" if kind is Kind.COMMENT else "replied"
        return f"{isolated_name} {verb}: {_quote_and_truncate(text)}"
    if kind is Kind.BELL_POST:
        return f"{isolated_name} posted: {_quote_and_truncate(text, quote_mark='')}"
    if kind is Kind.MENTION:
        return f"{isolated_name} mentioned you: {_quote_and_truncate(text)}"
    return group_notification_text(kind, actor_name, 0)


def split_first_sentence(text: str) -> tuple[str, str | None]:
    """The first sentence without its full stop, and the rest: the two lines of a standalone notification."""
    first_sentence, _, rest = text.partition(". ")
    return first_sentence.removesuffix("."), rest or None


def default_notification_title(kind: Kind, actor_count: int) -> str:
    """`New Like` for one actor, `5 new likes` for more; kinds without actors have a title of their own."""
    if kind in _DEFAULT_TITLE_AND_TEXT_BY_KIND:
        return _DEFAULT_TITLE_AND_TEXT_BY_KIND[kind][0]
    noun = _VERB_AND_NOUN_BY_KIND[kind][1]
    if actor_count <= 1:
        return f"New {noun.title()}"
    return f"{actor_count:,} new {_IRREGULAR_PLURALS.get(noun, noun + 's')}"


def actorless_notification_text(kind: Kind) -> str:
    """The text of an actorless notification whose event has none."""
    return _DEFAULT_TITLE_AND_TEXT_BY_KIND[kind][1]
