"""docs/promises.md: each promise with the drills that show it, and the last run's table.

In    the JSON of a run (drills/report.py), the promises in words
Out   docs/promises.md
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drills.drill import Drill
from infra.layout import ROOT

PAGE = ROOT / "docs" / "promises.md"
PROMISES = {
    "P1": "**Accepted is durable.** What was answered 2xx is in PostgreSQL in the end, under one "
    "failure. An unknown answer (a cut connection) takes effect at most once.",
    "P2": "**Last word wins.** Likes and follows stand as the last acknowledged request says, "
    "through retries, replays, the fallback queue and workers that wake too late.",
    "P3": "**Told once.** An actor is in a group once and rings once; a repeated delivery carries "
    "the same id, version and number.",
    "P4": "**Read your own writes, never backwards.** They show in the next read, from any "
    "process; without an unlike a count never falls.",
    "P5": "**Critical is in time.** Codes and alerts reach a connected client within a second "
    "(p99), within two while any one service is down.",
    "P6": "**Kafka away: nothing stops.** Writes stay 2xx; events wait in `kafka_fallback_queue` "
    "and drain by themselves, older before newer.",
    "P7": "**Redis away:** writes take the direct way, reads come from PostgreSQL; killed and "
    "restarted it loses nothing; emptied it loses at most what the bridge had not yet moved.",
    "P8": "**PostgreSQL away:** warm likes stay 2xx, the rest is told to come later within two "
    "seconds, and all of it is there afterwards.",
    "P9": "**DynamoDB away:** no toast is late, and the log is complete afterwards.",
    "P10": "**Poison** ends in `dead_letters` with a reason; its neighbours pass.",
    "P11": "**Bounded.** Buffers have sizes, waits have ends, past them 429 or 503; no request "
    "hangs because a service is frozen.",
    "P12": "**Honest figures.** Per stage: in = out + held + failed.",
    "P13": "**Clean stop.** SIGTERM: accepted requests finish, out within ten seconds, under load.",
}
NOT_PROMISED = (
    "the loss of a disk, or of the whole volume of a single-node Kafka or PostgreSQL",
    "power loss of the host in the seconds before Kafka's single node has written its pages "
    "(acknowledged likes are in Redis's append-only file until then, fsync before each answer)",
    "anything across a failover of Redis to a replica: there is one Redis",
    "two failures at once, beyond being bounded: with Kafka and PostgreSQL both away writes go on "
    "until the ingress is full, then 503",
    "an order of events across posts",
    "exactly one e-mail or text message: a repeat is possible, a loss is not",
    "correctness after somebody deletes Kafka topics by hand",
)
INVARIANTS = """\
## How it is shown

`make drill` starts services and processes of its own in a fresh folder and breaks only those. A crowd of 50 people acts
over HTTP against two web processes (likes, unlikes, comments, follows, reads, one hot post), 14 of them listen on
sockets, 6 ask for codes. Each attempt is written down before it is sent, its answer after. Then something breaks, at a
moment drawn from a printed seed. When all has come to rest, [`drills/checker.py`](../drills/checker.py) compares:

- every acknowledged word stands, every acknowledged comment and code is there once; nothing is there that nobody said;
- API = rows = counters = Redis for each post, from both web processes; no look at a count shows less than an earlier one
  but by the unlikes between; everybody sees their own last word;
- groups, actors, rings, badges and frames agree ([`drills/books.py`](../drills/books.py)); each socket heard each number
  1..n, in order, under one id and version;
- dead letters are the poison that was put in, exactly; the delivery log has every frame; in = out + held + failed;
- every 429 and 503 has a code and `Retry-After`; nothing else above 499; nothing hangs; memory stays below its bound.

Time limits are the promise plus a slack for a busy machine (`DRILL_SLACK_SECONDS`, 1.5, and the lateness measured in the
client itself); the table has the figures themselves. Kinds of request that may be told "later" are named per drill;
where a way remains (any write without Redis, a warm like without PostgreSQL), at most one in fifty may.
"""


def write(last: Path, drills: Mapping[str, Drill], page: Path = PAGE) -> Path:
    page.write_text(text(json.loads(last.read_text()), drills))
    return page


def text(told: Mapping[str, Any], drills: Mapping[str, Drill]) -> str:
    rows = {row["name"]: row for row in told["rows"]}
    lines = [
        "# What is promised, and the drills that show it",
        "",
        "Written by `python -m drills --write-promises` from the last run of `make drill`; not by hand.",
        "",
        '"One failure" is: Redis, Kafka, PostgreSQL, DynamoDB, one worker or one web process is killed, frozen or',
        "cut off, at any instant, for seconds or minutes, its disk intact.",
        "",
        "| | promise | shown by |",
        "|---|---|---|",
        *(_promise(name, words, drills, rows) for name, words in PROMISES.items()),
        "",
        "° not run.",
        "",
        INVARIANTS,
        *_last(told, drills),
        "## Not promised",
        "",
        *(f"- {one}" for one in NOT_PROMISED),
        "",
    ]
    return "\n".join(lines)


def _promise(
    name: str, words: str, drills: Mapping[str, Drill], rows: Mapping[str, dict[str, Any]]
) -> str:
    shown = [_mark(one.name, rows) for one in drills.values() if name in one.promises]
    return f"| {name} | {words} | {', '.join(shown)} |"


def _mark(name: str, rows: Mapping[str, dict[str, Any]]) -> str:
    if name not in rows:
        return f"{name}°"
    return f"**{name}: BROKEN**" if rows[name]["verdict"] == "BROKEN" else name


def _last(told: Mapping[str, Any], drills: Mapping[str, Drill]) -> Sequence[str]:
    machine = told["machine"]
    known = {row["name"]: row for row in told["rows"]}
    rows = [known[name] for name in drills if name in known]
    lines = [
        "## The last run of each",
        "",
        f"{machine['cores']} cores, load {machine['load'][0]:.0f} at the end; *late* is how late the client's own timer "
        "was at worst, which no product can make up for. Short: with the short times of `make test`.",
        "",
        "| drill | broken | ack'd | refused | unknown | lost | doubled | longest s | critical p99 s "
        "| drain s | late s | verdict | run (UTC) |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    lines += [_row(row) for row in rows]
    wrong = [row for row in rows if row["faults"]]
    if wrong:
        lines += ["", "What did not hold:", ""]
        lines += [
            f"- {row['name']}, {name}: {said[0]}"
            + (f" (and {len(said) - 1} more)" if said[1:] else "")
            for row in wrong
            for name, said in row["faults"].items()
        ]
    return [*lines, ""]


def _row(row: Mapping[str, Any]) -> str:
    cells = [
        row["name"],
        row["breaks"],
        f"{row['acknowledged']:,}",
        f"{row['refused']:,}",
        f"{row['unknown']:,}",
        row["lost"],
        row["doubled"],
        f"{row['longest_seconds']:.2f}",
        f"{row['critical_p99_seconds']:.2f}",
        f"{row['drain_seconds']:.1f}",
        f"{row['lateness_seconds']:.1f}",
        row["verdict"],
        _run(row["run"]),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _run(run: Mapping[str, Any]) -> str:
    times = "short" if run.get("short") else "full"
    slack = f", slack {run['slack']} s" if "slack" in run else ""
    return f"{run['at']}, {run['commit']}, seed {run['seed']}, {times}{slack}"
