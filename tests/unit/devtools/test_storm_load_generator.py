"""The load generator of storms: its schedule, its outcomes and its log, against a server of the test."""

import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

import pytest

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    REFUSED,
    RETRY_LATER,
    UNKNOWN_OUTCOME,
    parse_request_log,
)
from app.devtools.storm.load_connection import PreparedRequest
from app.devtools.storm.load_generator import LoadGenerator, LoadPlan, percentile
from harness.network import free_port

SERVICE_SECONDS = 0.05


class _Handler(BaseHTTPRequestHandler):
    """/drop closes the connection, /slow takes SERVICE_SECONDS, /STATUS answers with that status."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        name = self.path.strip("/")
        self.rfile.read(int(self.headers["Content-Length"]))
        if name == "drop":
            self.close_connection = True
            return
        if name == "slow":
            time.sleep(SERVICE_SECONDS)
        self.send_response(200 if name == "slow" else int(name))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server_port() -> Iterator[int]:
    server: HTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def _run(port: int, paths: list[str], **options: Any) -> tuple[dict[str, Any], str]:
    """The final report and the request log."""
    requests = [
        PreparedRequest("like", f"person-{n}", "post", "PUT", path, "t") for n, path in enumerate(paths)
    ]
    settings = {"rate": 200.0, "connection_count": 4, "deadline_seconds": 10.0} | options
    reports: list[dict[str, Any]] = []
    log = io.StringIO()
    plan = LoadPlan("127.0.0.1", port, requests=requests, **settings)
    LoadGenerator(plan, lambda: False, reports.append, log).run()
    assert [report.get("isFinal") for report in reports] == [None] * (len(reports) - 1) + [True]
    return reports[-1], log.getvalue()


@pytest.mark.parametrize(
    ("path", "outcome"),
    [("/200", ACKNOWLEDGED), ("/404", REFUSED), ("/503", RETRY_LATER), ("/500", UNKNOWN_OUTCOME)],
)
def test_outcome_follows_from_the_status(server_port: int, path: str, outcome: str) -> None:
    _, log = _run(server_port, [path])

    (attempt,) = parse_request_log(log.splitlines()).attempts
    assert (attempt.outcome, attempt.status) == (outcome, int(path[1:]))
    assert (attempt.request_kind, attempt.actor_id, attempt.object_id) == ("like", "person-0", "post")


def test_lost_connection_is_an_unknown_outcome_and_the_next_request_connects_again(server_port: int) -> None:
    report, _ = _run(server_port, ["/200", "/drop", "/200"], connection_count=1)

    assert (report["sent"], report["answered"], report["accepted"], report["unknown"]) == (3, 2, 2, 1)


def test_refused_connection_has_no_effect() -> None:
    report, log = _run(free_port(), ["/200", "/200"])

    assert (report["answered"], report["refused"]) == (0, 2)
    assert {attempt.outcome for attempt in parse_request_log(log.splitlines()).attempts} == {REFUSED}


def test_latency_counts_from_the_scheduled_time(server_port: int) -> None:
    """One connection answers twenty a second; a hundred are offered."""
    report, _ = _run(server_port, ["/slow"] * 20, rate=100.0, connection_count=1)

    last_is_late_ms = (20 * SERVICE_SECONDS - 20 / 100) * 1000
    assert report["accepted"] == 20
    assert report["p99Ms"] >= 0.9 * last_is_late_ms
    assert report["p50Ms"] >= 0.3 * last_is_late_ms


def test_refused_and_lost_requests_have_no_latency(server_port: int) -> None:
    """They are faster than the only one that is accepted."""
    report, _ = _run(server_port, ["/503", "/429", "/404", "/drop", "/slow"])

    assert (report["answered"], report["accepted"]) == (4, 1)
    assert (report["refused"], report["unknown"]) == (3, 1)
    assert report["p50Ms"] == report["p99Ms"] >= SERVICE_SECONDS * 1000


def test_stopped_generator_waits_for_the_responses_under_way(server_port: int) -> None:
    """So a reader that is stopped has no failures."""
    request = PreparedRequest("read", "person", "feed", "PUT", "/slow", "t")
    reports: list[dict[str, Any]] = []
    stops_at = time.monotonic() + SERVICE_SECONDS / 2
    plan = LoadPlan("127.0.0.1", server_port, 500.0, 4, 10.0, [request], repeats=True)

    LoadGenerator(plan, lambda: time.monotonic() > stops_at, reports.append).run()

    assert 1 <= reports[-1]["sent"] == reports[-1]["accepted"] <= 8


def test_offered_rate_is_kept(server_port: int) -> None:
    report, _ = _run(server_port, ["/200"] * 40, rate=80.0)

    assert report["offered"] == report["accepted"] == 40
    assert 39 / 80 <= report["seconds"] < 3


def test_nothing_is_sent_after_the_deadline(server_port: int) -> None:
    report, _ = _run(server_port, ["/slow"] * 100, rate=100.0, connection_count=1, deadline_seconds=0.3)

    assert 1 <= report["sent"] <= 7
    assert report["answered"] == report["sent"]


def test_repeated_requests_go_on_until_the_deadline(server_port: int) -> None:
    report, _ = _run(server_port, ["/200"], rate=50.0, repeats=True, deadline_seconds=0.4)

    assert 15 <= report["sent"] <= 21


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 99, None),
        ([7.0], 50, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
    ],
)
def test_percentile_is_by_rank(values: list[float], percent: int, expected: float | None) -> None:
    assert percentile(values, percent) == expected
