"""Whatever is asked of an operation, as its document allows: no 5xx, and no status it keeps silent
about. The requests are made up from /openapi.json; those that empty or stop everything are left
out."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings

from app.wiring import Parts
from tests.blueprints.stage import Cast, headers
from tests.blueprints.stage import app as app
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts

pytestmark = [pytest.mark.service, pytest.mark.slow]
EXAMPLES = 4
LEFT_OUT = (
    "DELETE /api/admin/db/clear",
    "POST /api/test/services/{service}",
    "GET /metrics",
    "GET /docs",
)


_LOOK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _answers(operation: Any, who: dict[str, str]) -> list[tuple[str, int]]:
    seen: list[tuple[str, int]] = []

    @_LOOK
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        seen.append((operation.label, case.call(headers=who).status_code))

    ask()
    return seen


def test_every_answer_to_a_made_up_request_is_documented(
    parts: Parts, app: Flask, cast: Cast
) -> None:
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    operations = [one.ok() for one in document.get_all_operations()]
    told = {one.label: set(one.definition.raw["responses"]) for one in operations}

    wanted = [one for one in operations if one.label not in LEFT_OUT]
    who = headers(parts, cast, "admin")
    seen = [answer for one in wanted for answer in _answers(one, who)]

    assert {label for label, _ in seen} == set(told) - set(LEFT_OUT)
    assert [one for one in seen if one[1] >= 500 or str(one[1]) not in told[one[0]]] == []
