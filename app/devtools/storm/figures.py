"""The figures of one way, from the reports of its load generators and the counters of PostgreSQL. Pure
functions."""

from typing import Any

from app.devtools.storm.options import StormOptions

LoadReport = dict[str, Any]
"""The final report of a load generator."""


def way_figures(
    options: StormOptions, report: LoadReport, counters: dict[str, int | None]
) -> dict[str, float | None]:
    """Rates count from the first request to the last answer, or to the end of the schedule if that is later:
    a server that no longer answers does not look fast."""
    seconds = max(report["seconds"], options.offer_seconds)
    return {
        "offered": options.request_count,
        "notSent": options.request_count - report["sent"],
        "answered": report["answered"],
        "accepted": report["accepted"],
        "refused": report["refused"],
        "unknown": report["unknown"],
        "offeredPerSecond": round(options.rate, 1),
        "answeredPerSecond": round(report["answered"] / seconds, 1),
        "acceptedPerSecond": round(report["accepted"] / seconds, 1),
        "answerP50Ms": report["p50Ms"],
        "answerP99Ms": report["p99Ms"],
        **counters,
        "walBytesPerLike": _per_item(counters["walBytes"], report["accepted"]),
    }


def reader_figures(during_load: LoadReport, afterwards: LoadReport) -> dict[str, float | None]:
    """`afterwards`: until all rows were written; the load is over, so that its figures would improve those of
    the way that takes longer."""
    return {
        "readerP50Ms": during_load["p50Ms"],
        "readerP99Ms": during_load["p99Ms"],
        "readerCount": during_load["accepted"],
        "readerFailed": _failed_count(during_load),
        "drainReaderP99Ms": afterwards["p99Ms"],
        "drainReaderFailed": _failed_count(afterwards),
    }


def _failed_count(report: LoadReport) -> int:
    return int(report["refused"] + report["unknown"])


def _per_item(total: int | None, count: int) -> int | None:
    return round(total / count) if total is not None and count else None
