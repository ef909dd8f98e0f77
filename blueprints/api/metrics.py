"""GET /metrics: figures of this process for Prometheus.

Open in testing mode. In production only for loopback, or for holders of METRICS_TOKEN if it is set.
"""

import hmac

from flask import Response, abort, request

from app.operations.metrics import CONTENT_TYPE, Metrics
from app.settings import WebSettings
from blueprints.http.api_blueprint import ApiBlueprint

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")


def blueprint(metrics: Metrics, web_settings: WebSettings) -> ApiBlueprint:
    routes = ApiBlueprint("metrics", __name__)

    @routes.get("/metrics")
    @routes.returns({"type": "string"}, errors=(404,), content_type="text/plain")
    def get_metrics() -> Response:
        """Figures of this process for Prometheus."""
        if not _may_read_metrics():
            abort(404)  # hides that the route exists
        return Response(metrics.render(), content_type=CONTENT_TYPE)

    def _may_read_metrics() -> bool:
        if web_settings.is_testing:
            return True
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if web_settings.metrics_token:
            return hmac.compare_digest(token.encode(), web_settings.metrics_token.encode())
        # Behind a local proxy every client has a loopback address.
        is_proxied = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
        return request.remote_addr in LOOPBACK_ADDRESSES and not is_proxied

    return routes
