"""Generate docs/guarantees.md: each guarantee with the drills that check it, and the last results.

Reads last.json (drills/report.py).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drills.drill import Drill
from drills.report import read_last_rows
from infra.paths import PROJECT_ROOT

PAGE_PATH = PROJECT_ROOT / "docs" / "guarantees.md"
GUARANTEES = {
    "P1": "**Acknowledged writes are durable.** Every write answered 2xx is in PostgreSQL in the end, "
    "under a single failure. A request without an answer takes effect at most once.",
    "P2": "**Last write wins.** The state of a like or follow is that of the last acknowledged "
    "request, through retries, replays, the fallback queue and workers that wake up late.",
    "P3": "**Exactly-once announcements.** An actor is in a group once and is announced once; a "
    "redelivered message has the same id, version and number.",
    "P4": "**Read your own writes, monotonic counts.** A write shows in the next read from any "
    "process; without an unlike no count decreases.",
    "P5": "**Critical messages are on time.** Codes and alerts reach a connected client within 1 s "
    "(p99), within 2 s during any single failure.",
    "P6": "**Kafka down:** writes stay 2xx; events are stored in `kafka_fallback_queue` and replayed "
    "automatically in order.",
    "P7": "**Redis down:** writes use the failover path, reads come from PostgreSQL. Killed and "
    "restarted, Redis loses nothing; emptied, at most what the bridge had not moved yet.",
    "P8": "**PostgreSQL down:** likes of cached posts stay 2xx, everything else answers 503 within "
    "2 s; nothing acknowledged is lost.",
    "P9": "**DynamoDB down:** delivery is not delayed; the delivery log is complete afterwards.",
    "P10": "**Poison isolation.** A record that cannot be processed ends in `dead_letters` with a "
    "reason and does not delay its neighbours.",
    "P11": "**Bounded resources.** Every buffer has a size and every wait a timeout; beyond them 429 "
    "or 503. No request hangs because a service is frozen.",
    "P12": "**Accounting.** Per stage: in = out + held + failed.",
    "P13": "**Graceful stop.** On SIGTERM accepted requests finish; the process exits within 10 s "
    "under load.",
    "P14": "**Popular authors cost others nothing.** Publishing takes the same time for an audience of any size; the "
    "audience is notified in the background, each subscriber once, and nobody else waits for it.",
}
NOT_GUARANTEED = (
    "durability after the loss of a disk, or of the whole volume of a single-node Kafka or PostgreSQL",
    "durability after a power loss of the host before a single-node Kafka has flushed its pages "
    "(acknowledged likes are in Redis's append-only file until then, with fsync before each answer)",
    "anything across a failover of Redis to a replica: there is one Redis",
    "more than bounded behaviour under two failures at once: with Kafka and PostgreSQL both down "
    "writes continue until the ingress is full, then answer 503",
    "an order of events across posts",
    "exactly one e-mail or text message: a duplicate is possible, a loss is not",
    "correctness after Kafka topics were deleted by hand",
)
METHOD_SECTION = """\
## How a drill works

`make drill` starts its own services and processes in an empty folder and injects faults only into those. 50 simulated
users act over HTTP against two web processes (likes, unlikes, comments, follows, reads, one hot post); 14 of them listen
on sockets, 6 request codes. Each request is logged before it is sent, its answer afterwards. The fault starts at a
moment drawn from a printed seed. When no work is left in the pipeline, the checker compares:

- every acknowledged write is in the final state, every acknowledged comment and code exactly once, and nothing that no
  client sent;
- API, rows, counters and Redis agree for each post, from both web processes; no reading of a count is lower than an
  earlier one, except by the unlikes in between; users see their own last write;
- groups, actors, announcements, badges and client events agree; each socket received each number 1..n, in order, with
  one id and version;
- dead letters are exactly the injected poison; the delivery log has every client event; in = out + held + failed;
- every 429 and 503 has a code and `Retry-After`; there is no other status above 499; nothing hangs; memory stays bounded.

Time limits are those of the guarantee plus slack for a busy machine (`DRILL_SLACK_SECONDS`, 1.5, and the timer lateness
measured in the client). Each drill names the kinds of request that may be answered 503; where another path exists (any
write without Redis, a like of a cached post without PostgreSQL), at most one in fifty may be.
"""


def write_page(last_run_path: Path, drills: Mapping[str, Drill], page_path: Path = PAGE_PATH) -> Path:
    page_path.write_text(render_page(last_run_path, drills))
    return page_path


def render_page(last_run_path: Path, drills: Mapping[str, Drill]) -> str:
    machine = json.loads(last_run_path.read_text())["machine"]
    rows = {row["drill_name"]: row for row in read_last_rows(last_run_path)}
    lines = [
        "# Guarantees, and the drills that check them",
        "",
        "Generated by `python -m drills --write-guarantees` from the last run of `make drill`; do not edit.",
        "",
        'A "single failure": one of Redis, Kafka, PostgreSQL, DynamoDB, one worker or one web process is killed, frozen or',
        "cut off from the network, at any instant, for seconds or minutes, with its disk intact.",
        "",
        "| | guarantee | drills |",
        "|---|---|---|",
        *(_render_guarantee(name, statement, drills, rows) for name, statement in GUARANTEES.items()),
        "",
        "° not run yet.",
        "",
        METHOD_SECTION,
        *_render_last_run(machine, rows, drills),
        "## Not guaranteed",
        "",
        *(f"- {exclusion}" for exclusion in NOT_GUARANTEED),
        "",
    ]
    return "\n".join(lines)


def _render_guarantee(
    guarantee_id: str,
    statement: str,
    drills: Mapping[str, Drill],
    rows_by_drill: Mapping[str, dict[str, Any]],
) -> str:
    drill_labels = [
        _format_drill_label(drill.name, rows_by_drill)
        for drill in drills.values()
        if guarantee_id in drill.guarantee_ids
    ]
    return f"| {guarantee_id} | {statement} | {', '.join(drill_labels)} |"


def _format_drill_label(drill_name: str, rows_by_drill: Mapping[str, dict[str, Any]]) -> str:
    if drill_name not in rows_by_drill:
        return f"{drill_name}°"
    return f"**{drill_name}: BROKEN**" if rows_by_drill[drill_name]["outcome"] == "BROKEN" else drill_name


def _render_last_run(
    machine: Mapping[str, Any],
    rows_by_drill: Mapping[str, dict[str, Any]],
    drills: Mapping[str, Drill],
) -> Sequence[str]:
    rows = [rows_by_drill[drill_name] for drill_name in drills if drill_name in rows_by_drill]
    lines = [
        "## Last results",
        "",
        f"{machine['cores']} cores, load {machine['load'][0]:.0f} at the end; *late* is the largest delay of the clients' own "
        "timer, which the system does not cause. Short: with the shorter times of `make test`.",
        "",
        "| drill | fault | acknowledged | refused | unknown | lost | unexpected | slowest s | critical p99 s "
        "| drain s | late s | outcome | run (UTC) |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    lines += [_render_row(row) for row in rows]
    failed_rows = [row for row in rows if row["violations"]]
    if failed_rows:
        lines += ["", "Broken:", ""]
        lines += [
            f"- {row['drill_name']}, {name}: {violations[0]}"
            + (f" (and {len(violations) - 1} more)" if violations[1:] else "")
            for row in failed_rows
            for name, violations in row["violations"].items()
        ]
    return [*lines, ""]


def _render_row(row: Mapping[str, Any]) -> str:
    cell_values = [
        row["drill_name"],
        row["fault_description"],
        f"{row['acknowledged_count']:,}",
        f"{row['refused_count']:,}",
        f"{row['unknown_count']:,}",
        row["lost_count"],
        row["unexpected_count"],
        f"{row['max_response_seconds']:.2f}",
        f"{row['otp_p99_seconds']:.2f}",
        f"{row['drain_seconds']:.1f}",
        f"{row['timer_delay_seconds']:.1f}",
        row["outcome"],
        _describe_run(row["run"]),
    ]
    return "| " + " | ".join(map(str, cell_values)) + " |"


def _describe_run(run: Mapping[str, Any]) -> str:
    length = "short" if run.get("short") else "full"
    slack = f", slack {run['slack']} s" if "slack" in run else ""
    return f"{run['at']}, {run['commit']}, seed {run['seed']}, {length}{slack}"
