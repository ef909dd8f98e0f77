"""Diagnose: is each stage of the pipeline well, and if not, what to do.

    python -m app.diagnose            health, backlogs, ages; exit code 1 if something is wrong
    python -m app.diagnose offsets    per group and partition: committed, end, lag

In    app/checkup.py
Out   tables for a person, on whatever subset of the services answers
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from app import checkup, findings
from app.domain.errors import Unavailable
from app.findings import Finding, Level
from app.offsets import Place, offsets
from app.settings import outlook

PATIENCE_SECONDS = 10.0
"""For all stages together: each has shorter time-outs of its own, unless a server is frozen."""
SIGN = {Level.OK: "[green]ok", Level.NOTE: "[yellow]note", Level.WRONG: "[bold red]WRONG"}
Questions = Mapping[str, Callable[[], list[Finding]]]


def ask(questions: Questions, patience: float = PATIENCE_SECONDS) -> list[Finding]:
    """All at once; one that does not answer in time is a finding itself."""
    answers: dict[str, list[Finding]] = {}

    def answer(name: str) -> None:
        answers[name] = questions[name]()

    # Daemons: one that hangs in a frozen server must not keep the process.
    threads = [threading.Thread(target=answer, args=(name,), daemon=True) for name in questions]
    end = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    silent = f"no answer in {patience:.0f} s"
    remedy = "It hangs, or its reader failed above: look at its process and its log."
    return [
        finding
        for name in questions
        for finding in answers.get(name, [findings.away(name, silent, remedy)])
    ]


def exit_code(found: Sequence[Finding]) -> int:
    return int(any(finding.level is Level.WRONG for finding in found))


def show(found: Sequence[Finding], console: Console) -> None:
    table = Table(title="The pipeline, stage by stage", title_justify="left")
    for column in ("stage", "what", "reading", ""):
        table.add_column(column, overflow="fold")
    before = None
    for finding in found:
        if before not in (None, finding.stage):
            table.add_section()
        name = finding.stage if before != finding.stage else ""
        table.add_row(name, finding.what, _plain(finding.reading), SIGN[finding.level])
        before = finding.stage
    console.print(table)
    _summary([finding for finding in found if finding.level is not Level.OK], console)


def _summary(found: Sequence[Finding], console: Console) -> None:
    if not found:
        console.print("[green]Everything is well.")
        return
    console.print("What to do:")
    for finding in found:
        line = f"{finding.stage}, {finding.what}: {finding.reading}. {finding.advice}"
        console.print(f"  {SIGN[finding.level]}[/] {_plain(line)}", highlight=False)


def show_offsets(places: Sequence[Place], console: Console) -> None:
    table = Table(title="Offsets by group and partition", title_justify="left")
    for column in ("group", "topic", "partition", "committed", "end", "lag"):
        table.add_column(column, justify="left" if column in ("group", "topic") else "right")
    before = None
    for place in places:
        if before not in (None, place.group):
            table.add_section()
        first = before != place.group
        committed = "-" if place.committed is None else f"{place.committed:,}"
        table.add_row(
            place.group if first else "",
            place.topic if first else "",
            str(place.partition),
            committed,
            f"{place.end:,}",
            f"{place.lag:,}",
        )
        before = place.group
    console.print(table)
    console.print(
        "A lane's committed offset is the low watermark: its lag counts what open windows hold."
    )


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def main(arguments: Sequence[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 130)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it says, the table says better
    if list(arguments) == ["offsets"]:
        try:
            show_offsets(offsets(outlook().addresses.kafka_bootstrap_servers), console)
        except Unavailable as fault:
            console.print(f"{fault}. {checkup.REMEDY['kafka']}")
            return 1
        return 0
    if arguments:
        console.print("usage: python -m app.diagnose [offsets]", markup=False)
        return 2
    found = ask(checkup.stages(outlook()))
    show(found, console)
    return exit_code(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
