"""Fields of queries. They raise Rejected (400) with the message and code that the seed's client knows."""

from collections.abc import Sequence
from typing import Any

from marshmallow import fields, validate

from app.domain.errors import Rejected
from blueprints.http.ids import parse_uuid


class IdParam(fields.UUID):
    """A UUID as text; None if empty."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return parse_uuid(str(value)) if value else None


class IdsParam(fields.String):
    """UUIDs, separated by commas, each once; in this order."""

    def __init__(self, max_count: int, **options: Any) -> None:
        self._max_count = max_count
        description = f"ids, separated by commas, at most {max_count}"
        super().__init__(metadata={"description": description}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        ids = list(dict.fromkeys(parse_uuid(raw_id) for raw_id in str(value).split(",") if raw_id))
        if len(ids) > self._max_count:
            raise Rejected(f"{attr} may have at most {self._max_count} ids", "out_of_range", 400)
        return ids


class ChoiceParam(fields.String):
    def __init__(self, choices: Sequence[str], **options: Any) -> None:
        self._choices = choices
        super().__init__(validate=validate.OneOf(choices), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value not in self._choices:
            raise Rejected(f"{attr} must be one of {', '.join(self._choices)}", "invalid", 400)
        return str(value)
