"""Diagnose: a report on each stage of the pipeline, with hints where something is wrong.

    python -m app.operations.diagnose            health, backlogs, ages; exit code 1 on errors
    python -m app.operations.diagnose offsets    per group and partition: committed, end, lag

Input: app/operations/health. Output: tables on the terminal, for whichever services respond.
"""

if __name__ == "__main__":
    from app.clients.gevent_setup import patch_all

    patch_all()

import logging
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from app.clients.postgres import create_pg_engine
from app.clients.redis import create_redis_client
from app.domain.errors import Unavailable
from app.log_config import redact_and_truncate, withhold_values
from app.operations.consumer_lag import PartitionOffset, read_consumer_group_offsets
from app.operations.health.report import SERVICE_HINTS, Health
from app.operations.health.results import CheckLevel, CheckResult
from app.settings import ToolSettings, load_tool_settings

TIMEOUT_SECONDS = 10.0
"""For all queries, which run at the same time: nobody waits for this tool but its user."""
LEVEL_LABELS = {
    CheckLevel.OK: "[green]ok",
    CheckLevel.WARNING: "[yellow]warning",
    CheckLevel.ERROR: "[bold red]ERROR",
}


def create_health(settings: ToolSettings) -> Health:
    urls = settings.service_urls
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    netloc = f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"
    return Health(
        urls,
        settings.limits,
        create_redis_client(urls.redis_url, max_connections=4),
        create_pg_engine(urls.database_url, application="diagnose"),
        netloc,
        TIMEOUT_SECONDS,
    )


def exit_code(results: Sequence[CheckResult]) -> int:
    return int(any(result.level is CheckLevel.ERROR for result in results))


def print_results(results: Sequence[CheckResult], console: Console) -> None:
    table = Table(title="Pipeline by stage", title_justify="left")
    for column in ("stage", "check", "value", ""):
        table.add_column(column, overflow="fold")
    previous_stage = None
    for result in results:
        if previous_stage not in (None, result.stage):
            table.add_section()
        stage_label = result.stage if previous_stage != result.stage else ""
        value = _escape_markup(redact_and_truncate(result.value))
        table.add_row(stage_label, result.check, value, LEVEL_LABELS[result.level])
        previous_stage = result.stage
    console.print(table)
    _print_hints([result for result in results if result.level is not CheckLevel.OK], console)


def _print_hints(results: Sequence[CheckResult], console: Console) -> None:
    if not results:
        console.print("[green]All checks passed.")
        return
    console.print("What to do:")
    for result in results:
        value = redact_and_truncate(result.value)
        line = f"{result.stage}, {result.check}: {value}. {result.hint}"
        console.print(f"  {LEVEL_LABELS[result.level]}[/] {_escape_markup(line)}", highlight=False)


def print_offsets(partition_offsets: Sequence[PartitionOffset], console: Console) -> None:
    table = Table(title="Offsets by group and partition", title_justify="left")
    for column in ("group", "topic", "partition", "committed", "end", "lag"):
        table.add_column(column, justify="left" if column in ("group", "topic") else "right")
    previous_group = None
    for offset in partition_offsets:
        if previous_group not in (None, offset.group):
            table.add_section()
        is_new_group = previous_group != offset.group
        committed = "-" if offset.committed is None else f"{offset.committed:,}"
        table.add_row(
            offset.group if is_new_group else "",
            offset.topic if is_new_group else "",
            str(offset.partition),
            committed,
            f"{offset.end_offset:,}",
            f"{offset.lag:,}",
        )
        previous_group = offset.group
    console.print(table)
    console.print(
        "In priority topics the committed offset is the low watermark: lag includes events in open windows."
    )


def _escape_markup(text: str) -> str:
    return text.replace("[", "\\[")


def main(arguments: Sequence[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 130)
    if list(arguments) not in ([], ["offsets"]):
        console.print("usage: python -m app.operations.diagnose [offsets]", markup=False)
        return 2
    settings = load_tool_settings()
    withhold_values(settings.service_urls.passwords())
    for logger_name in ("kafka", "app.clients.outage_log"):  # the table reports the same
        logging.getLogger(logger_name).setLevel(logging.CRITICAL)
    if arguments:
        try:
            print_offsets(read_consumer_group_offsets(settings.service_urls.kafka_connection), console)
        except Unavailable as exc:
            console.print(f"{exc}. {SERVICE_HINTS['kafka']}")
            return 1
        return 0
    health = create_health(settings)
    results = health.report(health.checked_queries, TIMEOUT_SECONDS).results
    print_results(results, console)
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
