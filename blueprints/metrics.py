"""Figures of this process for Prometheus.

In    GET /metrics
Out   app/metrics.py

Open in testing mode; in production to loopback and to who knows METRICS_TOKEN.
"""

import hmac
from typing import cast

from flask import Blueprint, Response, abort, current_app, request

from app.metrics import CONTENT_TYPE, Metrics
from blueprints import parts

blueprint = Blueprint("metrics", __name__)
LOOPBACK = ("127.0.0.1", "::1")


@blueprint.get("/metrics")
def metrics() -> Response:
    if not _may():
        abort(404)  # to others it is not there
    found = cast("Metrics", current_app.extensions["metrics"])
    return Response(found.text(), content_type=CONTENT_TYPE)


def _may() -> bool:
    web = parts().settings.web
    if web.testing:
        return True
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if web.metrics_token:
        return hmac.compare_digest(given.encode(), web.metrics_token.encode())
    # A proxy in front makes everybody look like loopback, and says so in a header.
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return request.remote_addr in LOOPBACK and not forwarded
