"""Why somebody got a notification, in at most six sentences with names and times; and why not.

In: what is stored of the notification, of its newest actor and of its announcement. Out: lines of plain
text. The number of facts does not depend on the number of actors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from app.domain.events import COMMENT_KINDS, CRITICAL_KINDS, Kind
from app.domain.messages import action_noun, action_text, isolate_name_direction
from app.domain.preferences import Channel
from app.domain.routing import priority_of
from app.domain.windows import AggregationRules, instant_announcement_quota

MAX_COUNTED_IN_WINDOW = 100
"""The position of an actor in a window is counted up to this."""
AT_ONCE_SECONDS = 1.0
"""An event that was written within this time was announced at once."""
_NOT_TOLD_TEXT_BY_OUTCOME = {
    "self": "It was your own action.",
    "muted": "You muted the person or the post.",
    "blocked": "You blocked the person.",
    "preference": "Your settings switch this kind off.",
    "expired": "The post or the account no longer existed.",
    "retracted": "It was taken back before you were told.",
    "failed": "It could not be processed.",
}
_CHANNEL_NAMES = {Channel.PUSH: "in-app", Channel.EMAIL: "e-mail", Channel.SMS: "SMS"}


@dataclass(frozen=True, slots=True)
class NewestActor:
    """The actor whose event is the newest of a group. `position`: the number of actors in the window's length
    up to and with this one, at most MAX_COUNTED_IN_WINDOW."""

    name: str
    occurred_at: datetime
    written_at: datetime
    is_follower: bool
    is_announced: bool
    position: int


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """`told_at`: when the newest actor, or the notification without actors, was announced; None if it is not
    yet. `held_until`: the end of the quiet hours that hold it. `was_held`: quiet hours held it before."""

    kind: Kind
    actor: NewestActor | None
    actor_count: int
    created_at: datetime
    channels: frozenset[Channel]
    told_at: datetime | None
    held_until: datetime | None = None
    was_held: bool = False
    shown_at: datetime | None = None
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LocalClock:
    """Writes times of day in the reader's time zone, with the date unless it is today."""

    time_zone: tzinfo
    now: datetime

    def time_text(self, at: datetime, with_seconds: bool = False) -> str:
        local = at.astimezone(self.time_zone)
        text = f"{local:%H:%M:%S}" if with_seconds else f"{local:%H:%M}"
        if local.date() != self.now.astimezone(self.time_zone).date():
            text += f" on {local.day} {local:%B}"
        return text if local.tzname() != "UTC" else f"{text} UTC"


def reason_lines(facts: NotificationFacts, rules: AggregationRules, clock: LocalClock) -> list[str]:
    """The lines, at most six, the most important first."""
    return list(_lines(facts, rules, clock))


def _lines(facts: NotificationFacts, rules: AggregationRules, clock: LocalClock) -> Iterator[str]:
    if facts.actor is None:
        yield f"It was sent to you at {clock.time_text(facts.created_at)}."
    else:
        yield _what_happened(facts, facts.actor, clock)
        if facts.held_until is None and not facts.was_held:
            yield _when_told(facts, facts.actor, rules, clock)
        if facts.actor.is_follower and priority_of(facts.kind, True) is not priority_of(facts.kind, False):
            name = isolate_name_direction(facts.actor.name)
            yield f"{name} follows you, so it went before those of people who do not."
    if facts.held_until is not None:
        yield f"Your quiet hours hold it until {clock.time_text(facts.held_until)}; your list has it already."
    elif facts.was_held and facts.told_at is not None:
        yield f"Your quiet hours held it until {clock.time_text(facts.told_at)}."
    yield _settings_text(facts)
    if facts.shown_at is not None or facts.read_at is not None:
        yield _seen_text(facts, clock)


def _what_happened(facts: NotificationFacts, actor: NewestActor, clock: LocalClock) -> str:
    name, at = isolate_name_direction(actor.name), clock.time_text(actor.occurred_at)
    if facts.actor_count <= 1:
        return f"{name} {action_text(facts.kind)} at {at}."
    return f"{name}, at {at}, was the last of {facts.actor_count:,} people who {action_text(facts.kind)}."


def _when_told(
    facts: NotificationFacts, actor: NewestActor, rules: AggregationRules, clock: LocalClock
) -> str:
    quota = instant_announcement_quota(facts.kind, rules)
    if quota is None:
        return "This kind of news is told at once."
    if not actor.is_announced:
        return "It waits for its window to close; you were not told yet."
    waited_seconds = (actor.written_at - actor.occurred_at).total_seconds()
    until = clock.time_text(actor.written_at, with_seconds=waited_seconds < 60)
    if waited_seconds < -AT_ONCE_SECONDS:
        return "It was not the first time, so you were not told again."
    if facts.kind in COMMENT_KINDS:
        return f"Comments wait for the end of their window, which was at {until}."
    if waited_seconds <= AT_ONCE_SECONDS:
        return f"You were told at once, as of the first {quota} in {_duration_text(rules.window_seconds)}."
    if actor.position <= quota:
        return f"It was written and announced at {until}."
    position, noun = _ordinal(actor.position), action_noun(facts.kind)
    window = _duration_text(rules.window_seconds)
    return f"It was the {position} {noun} in {window}, so it waited for the window until {until}."


def _settings_text(facts: NotificationFacts) -> str:
    if facts.kind in CRITICAL_KINDS:
        return "Security messages come by every channel, whatever your settings say."
    states = [
        f"{name} {'on' if channel in facts.channels else 'off'}" for channel, name in _CHANNEL_NAMES.items()
    ]
    return f"Your settings: {', '.join(states)}."


def _seen_text(facts: NotificationFacts, clock: LocalClock) -> str:
    parts = []
    if facts.shown_at is not None:
        parts.append(f"it was shown in your browser at {clock.time_text(facts.shown_at)}")
    if facts.read_at is not None:
        parts.append(f"you read it at {clock.time_text(facts.read_at)}")
    sentence = " and ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _ordinal(number: int) -> str:
    """Such as 4th or 22nd; counts end at MAX_COUNTED_IN_WINDOW."""
    if number >= MAX_COUNTED_IN_WINDOW:
        return f"{MAX_COUNTED_IN_WINDOW}th or later"
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _duration_text(seconds: float) -> str:
    """Such as 2 minutes or 90 seconds."""
    if seconds >= 60 and seconds % 60 == 0:
        minutes = int(seconds // 60)
        return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    return f"{seconds:g} {'second' if seconds == 1 else 'seconds'}"


def not_told_text(outcome: str) -> str:
    """Why an event with this coded outcome was not announced to its recipient."""
    return _NOT_TOLD_TEXT_BY_OUTCOME.get(outcome, "It ended without an announcement.")
