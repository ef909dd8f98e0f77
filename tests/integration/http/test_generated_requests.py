"""Requests generated from /openapi.json get only documented statuses, responses as documented and no 5xx.

Operations that delete everything, stop services or workers or start a storm are left out.
"""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import response_schema_conformance

from app.bootstrap import SharedServices
from tests.support.real_store_app import RouteTestData, auth_headers
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = [pytest.mark.service, pytest.mark.slow]
EXAMPLES = 2
EXCLUDED_OPERATIONS = (
    "DELETE /api/admin/db/clear",
    "POST /api/test/services/{service}",
    "POST /api/test/workers/{worker}",
    "POST /api/test/storms",
    "GET /metrics",
    "GET /docs",
    "GET /docs/sockets",
)


_HYPOTHESIS_SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _call_generated(operation: Any, headers: dict[str, str]) -> list[tuple[str, int]]:
    """The label of the operation and the status of each generated request. Fails if a response does not
    match its schema."""
    statuses: list[tuple[str, int]] = []

    @_HYPOTHESIS_SETTINGS
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        response = case.call(headers=headers)
        statuses.append((operation.label, response.status_code))
        if response.status_code < 500:
            case.validate_response(response, checks=[response_schema_conformance])

    call()
    return statuses


def test_generated_request_gets_a_documented_response(
    app_services: SharedServices, app: Flask, route_data: RouteTestData
) -> None:
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    results: list[Any] = list(document.get_all_operations())
    operations = [result.ok() for result in results]
    documented = {operation.label: set(operation.definition.raw["responses"]) for operation in operations}

    headers = auth_headers(app_services, route_data, "admin")
    statuses = [
        label_and_status
        for operation in operations
        if operation.label not in EXCLUDED_OPERATIONS
        for label_and_status in _call_generated(operation, headers)
    ]

    assert {label for label, _ in statuses} == set(documented) - set(EXCLUDED_OPERATIONS)
    assert [
        (label, status) for label, status in statuses if status >= 500 or str(status) not in documented[label]
    ] == []
