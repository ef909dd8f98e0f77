"""A storm from the terminal: python -m app.devtools.storm [--likes N] [--rate N] ..., or make storm

Needs a system in testing mode that runs (make run). Shows a progress bar, then the figures of both ways.
Ctrl-C cancels. Exit code 1 if the storm did not complete, or something was lost or doubled.
"""

import argparse
import http.client
import sys
import time
from typing import Any

from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE
from app.devtools.storm.options import StormOptions
from app.devtools.storm.storms import DONE, RUNNING, Storms
from app.domain.errors import Rejected
from app.setting_readers import SettingsError
from app.settings import Settings, load_settings

POLL_INTERVAL_SECONDS = 0.5
BAR_WIDTH = 30
WAY_LABELS = {ROW_PER_LIKE: "row per like", PIPELINE: "pipeline"}


def main(arguments: list[str]) -> int:
    try:
        options = _parse_options(arguments)
        settings = load_settings()
        _require_testing_mode(settings)
        storms = Storms(settings.data_dir)
        storm_id = storms.start(options)
    except (Rejected, SettingsError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    try:
        state = _watch(storms, storm_id)
    except KeyboardInterrupt:
        storms.cancel_or_delete(storm_id)
        sys.stderr.write("\nCancelled; its posts are being removed.\n")
        return 130
    _print_result(state)
    ledgers = [way["ledger"] for way in state["ways"].values()]
    is_clean = all(ledger["lost"] == 0 and ledger["doubled"] == 0 for ledger in ledgers)
    return 0 if state["state"] == DONE and is_clean else 1


def _parse_options(arguments: list[str]) -> StormOptions:
    """Raises Rejected."""
    parser = argparse.ArgumentParser(prog="python -m app.devtools.storm", description=__doc__)
    parser.add_argument("--likes", type=int, default=10_000)
    parser.add_argument("--people", type=int, help="who like; default: one like each")
    parser.add_argument("--posts", type=int, default=1, help="default: one hot post")
    parser.add_argument("--rate", type=float, default=300.0, help="requests per second")
    parser.add_argument("--comments", action="store_true", help="one comment per 20 likes")
    parser.add_argument("--wait-for-windows", action="store_true", help="do not close the windows early")
    parser.add_argument(
        "--pipeline-first", action="store_true", help="run the pipeline before one row per like"
    )
    parsed = parser.parse_args(arguments)
    return StormOptions(
        likes=parsed.likes,
        people=parsed.people or parsed.likes,
        posts=parsed.posts,
        rate=parsed.rate,
        with_comments=parsed.comments,
        close_windows=not parsed.wait_for_windows,
        pipeline_first=parsed.pipeline_first,
    )


def _require_testing_mode(settings: Settings) -> None:
    """Raises SettingsError unless the web process that gets the likes answers in testing mode."""
    address = f"{settings.web.host}:{settings.web.port}"
    connection = http.client.HTTPConnection(settings.web.host, settings.web.port, timeout=5)
    try:
        connection.request("GET", "/api/test/storms")
        status = connection.getresponse().status
    except OSError as exc:
        raise SettingsError(f"No response from {address}. Start it with: make run") from exc
    finally:
        connection.close()
    if status == 404 or not settings.web.is_testing:
        raise SettingsError(f"A storm needs testing mode, and {address} is not in it.")


def _watch(storms: Storms, storm_id: str) -> dict[str, Any]:
    """The last state."""
    sample: dict[str, Any] = {}
    sample_count = 0
    while True:
        state = storms.get(storm_id, sample_count)
        sample_count += len(state["samples"])
        sample = state["samples"][-1] if state["samples"] else sample
        if state["state"] != RUNNING:
            sys.stderr.write("\n")
            return state
        sys.stderr.write(f"\r\x1b[2K{_format_progress(state, sample)}")
        sys.stderr.flush()
        time.sleep(POLL_INTERVAL_SECONDS)


def _format_progress(state: dict[str, Any], sample: dict[str, Any]) -> str:
    if not sample:
        return str(state["phase"])
    options = StormOptions(**state["options"])
    # Half of the bar is for the load, half for the rows; each way has a bar of its own.
    share = (sample["answered"] + (sample["written"] or 0)) / (2 * options.request_count)
    filled = min(BAR_WIDTH, int(share * BAR_WIDTH))
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    counts = f"accepted {sample['accepted']:,}, written {_format(sample['written'])}"
    if sample["announced"] is not None:
        counts += f", announced {sample['announced']:,}"
    return f"{WAY_LABELS[sample['way']]:<12} [{bar}] {sample['second']:>3} s  {counts}"


def _print_result(state: dict[str, Any]) -> None:
    lines = [f"Storm {state['id']}: {state['state']}" + (f", {state['error']}" if state["error"] else "")]
    lines.append(f"{'':<48}{'row per like':>14}{'pipeline':>14}  better")
    for row in state["comparison"]:
        label = f"{row['label']}, {row['unit']}" if row["unit"] else row["label"]
        better = WAY_LABELS.get(row["better"], row["better"] or "")
        lines.append(f"{label:<48}{_format(row[ROW_PER_LIKE]):>14}{_format(row[PIPELINE]):>14}  {better}")
    for name in ("accepted", "written", "announced", "lost", "doubled"):
        values = [state["ways"][way]["ledger"][name] if way in state["ways"] else None for way in WAY_LABELS]
        lines.append(f"{name.capitalize():<48}{_format(values[0]):>14}{_format(values[1]):>14}")
    told = state["ways"].get(PIPELINE, {})
    lines += [f"The author was told in {told['messageCount']} messages:"] if told else []
    lines += [f"  {message}" for message in told.get("messages", ())]
    lines += [f"- {remark}" for remark in state["remarks"]]
    lines += [f"! {problem}" for way in state["ways"].values() for problem in way["ledger"]["problems"]]
    sys.stdout.write("\n".join(lines) + "\n")


def _format(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
