"""The explanation of one notification: the decisions about it, and its steps with their times.

Built from its row, its actors and its client events (app/social/notifications.py).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from marshmallow import fields, validate
from sqlalchemy import RowMapping

from app.domain.events import COMMENT_KINDS, CRITICAL_KINDS, Kind, Priority, occurred_at_from_seq
from app.domain.grouping import ClientEventType
from app.domain.notification_reasons import NewestActor, NotificationFacts
from app.domain.preferences import Channel, selectable_time_zones
from app.domain.routing import TOPIC_BY_PRIORITY, priority_of
from app.domain.windows import AggregationRules, instant_announcement_quota
from app.persistence.seen_receipts import SEEN_EVENT_NAME
from app.social.notifications import NotificationExplanation
from blueprints.http.response_schemas import ObjectSchema, ResponseSchema
from blueprints.http.schemas import RequestSchema
from blueprints.http.serializers import JsonObject


class TimeZoneParam(fields.String):
    """The name of a time zone; UTC for one that this server does not know."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return str(value) if value in selectable_time_zones() else "UTC"


class ExplanationQuery(RequestSchema):
    timeZone = TimeZoneParam(
        load_default="UTC", metadata={"description": "of the times in `lines`", "example": "Europe/Berlin"}
    )


class LaneSchema(ObjectSchema):
    topic = fields.String()
    priority = fields.Enum(Priority, by_value=True)
    because = fields.String()


class AggregationSchema(ObjectSchema):
    because = fields.String()
    generation = fields.Integer()


class DecisionSchema(ObjectSchema):
    decision = fields.String(validate=validate.OneOf(["held", "sent"]))
    channels = fields.List(fields.String())
    heldUntil = fields.DateTime(allow_none=True)


class ExplainedActorSchema(ObjectSchema):
    id = fields.UUID()
    name = fields.String(allow_none=True)
    username = fields.String(allow_none=True)
    eventId = fields.UUID(allow_none=True)
    follower = fields.Boolean()
    active = fields.Boolean()
    announced = fields.Boolean()
    occurredAt = fields.DateTime()


class ExplainedStepSchema(ObjectSchema):
    optional_fields = frozenset({"eventId", "publishedAt", "seq", "version", "newCount"})
    name = fields.String(metadata={"example": "announcement"})
    at = fields.DateTime()
    eventId = fields.UUID(allow_none=True)
    publishedAt = fields.DateTime(allow_none=True)
    seq = fields.Integer(allow_none=True)
    version = fields.Integer()
    newCount = fields.Integer()


class ExplanationResponse(ResponseSchema):
    notificationId = fields.UUID()
    type = fields.Enum(Kind, by_value=True)
    message = fields.String()
    lines = fields.List(
        fields.String(metadata={"example": "Hana liked your post at 14:03."}),
        metadata={"description": "why it came, at most six sentences"},
    )
    lane = fields.Nested(LaneSchema)
    aggregation = fields.Nested(AggregationSchema)
    preferences = fields.Nested(DecisionSchema)
    actors = fields.List(fields.Nested(ExplainedActorSchema))
    steps = fields.List(fields.Nested(ExplainedStepSchema))


def _newest_actor(row: RowMapping) -> NewestActor:
    return NewestActor(
        row["name"],
        occurred_at_from_seq(row["seq"]),
        row["created_at"],
        row["is_follower"],
        row["announced"],
        row["position"],
    )


def notification_facts(explanation: NotificationExplanation) -> NotificationFacts:
    """What app/domain/notification_reasons.py writes about."""
    row, newest = explanation.row, explanation.newest_actor
    actor = None if newest is None else _newest_actor(newest)
    joined_at = actor.written_at if actor else row["created_at"]
    times: dict[str, datetime] = {}
    for client_event in explanation.client_events:
        name = _step_name(client_event["client_event"], int(client_event["new_count"] or 0))
        if client_event["created_at"] >= joined_at:
            times.setdefault(name, client_event["created_at"])
    return NotificationFacts(
        Kind(row["type"]),
        actor,
        row["actor_count"],
        row["created_at"],
        frozenset(Channel(channel) for channel in row["channels"]),
        times.get("announcement") or times.get("gathered announcement"),
        row["deferred_until"],
        "held by quiet hours" in times,
        times.get("shown"),
        row["read_at"],
    )


def explanation_json(explanation: NotificationExplanation, message: str, lines: Sequence[str]) -> JsonObject:
    """`message` is the text of the notification as the list shows it; `lines`: why it came."""
    row, kind = explanation.row, Kind(explanation.row["type"])
    has_follower = any(actor["is_follower"] for actor in explanation.actors if actor["active"])
    topic = TOPIC_BY_PRIORITY[priority_of(kind, has_follower)]
    return {
        "notificationId": row["id"],
        "type": kind.value,
        "message": message,
        "lines": list(lines),
        "lane": {
            "topic": topic.value,
            "priority": row["priority"],
            "because": _topic_reason(kind, has_follower),
        },
        "aggregation": {"because": _aggregation_reason(kind), "generation": row["generation"]},
        "preferences": {
            "decision": "held" if row["deferred_until"] else "sent",
            "channels": list(row["channels"]),
            "heldUntil": row["deferred_until"],
        },
        "actors": [_actor_json(actor) for actor in explanation.actors],
        "steps": _steps_json(explanation),
    }


def _topic_reason(kind: Kind, has_follower: bool) -> str:
    if kind in CRITICAL_KINDS:
        return "Security messages have a lane of their own and pass every preference"
    if priority_of(kind, False) is priority_of(kind, True):
        return f"All notifications of type {kind.value} take this lane"
    return "A follower is among them" if has_follower else "Nobody among them follows you"


def _aggregation_reason(kind: Kind) -> str:
    if kind in COMMENT_KINDS:
        return "Comments are gathered and announced together when their window ends"
    if instant_announcement_quota(kind, AggregationRules()) is None:
        return "Announced at once"
    return "The first few of a window are announced at once, the others together when it ends"


def _actor_json(actor: Any) -> JsonObject:
    return {
        "id": actor["actor_id"],
        "name": actor["name"],
        "username": actor["username"],
        "eventId": actor["event_id"],
        "follower": actor["is_follower"],
        "active": actor["active"],
        "announced": actor["announced"],
        "occurredAt": occurred_at_from_seq(actor["seq"]),
    }


def _steps_json(explanation: NotificationExplanation) -> list[JsonObject]:
    """Accepted, written, announced and status changes, in the order of their times."""
    row = explanation.row
    steps: list[JsonObject] = [
        {"name": "accepted", "at": occurred_at_from_seq(actor["seq"]), "eventId": actor["event_id"]}
        for actor in explanation.actors
    ]
    steps.append({"name": "written", "at": row["created_at"]})
    for client_event in explanation.client_events:
        new_count = int(client_event["new_count"] or 0)
        steps.append(
            {
                "name": _step_name(client_event["client_event"], new_count),
                "at": client_event["created_at"],
                "publishedAt": client_event["published_at"],
                "seq": client_event["client_seq"],
                "version": int(client_event["version"]),
                "newCount": new_count,
            }
        )
    status_columns = (("seen", "seen_at"), ("read", "read_at"), ("archived", "archived_at"))
    steps += [{"name": name, "at": row[column]} for name, column in status_columns if row[column]]
    return sorted(steps, key=lambda step: step["at"])


def _step_name(client_event_type: str, new_count: int) -> str:
    """A silent client event with new actors is one that quiet hours held back."""
    if client_event_type == SEEN_EVENT_NAME:
        return "shown"
    if client_event_type == ClientEventType.ANNOUNCED:
        return "gathered announcement" if new_count > 1 else "announcement"
    return "held by quiet hours" if new_count else "change"
