"""Merges results into docs/performance.json; writes them into docs/performance.md, docs/figures, README.md.

Each benchmark keeps its own date, commit and machine, so that a partial run replaces only what it measured.
Text between `<!-- bench: NAME -->` and `<!-- /bench -->` is replaced; the rest of a page is written by hand.
NAME is `all` or a path in performance.json, such as `S1::rows::like, one hot post::rate`; goals are found by
their descriptions.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report import JsonDict, Row, format_value, result_tables
from infra.paths import PROJECT_ROOT

DOCS_DIR = PROJECT_ROOT / "docs"
JSON_PATH = DOCS_DIR / "performance.json"
FIGURES_DIR = DOCS_DIR / "figures"
PAGES = (DOCS_DIR / "performance.md", PROJECT_ROOT / "README.md")
ALL = "all"
_BLOCK = re.compile(r"(<!-- bench: (.+?) -->).*?(<!-- /bench -->)", re.DOTALL)
_MACHINE_NAMES = ("CPU", "memory", "kernel", "versions")


def publish(results: Sequence[JsonDict]) -> None:
    """`results`: of bench.report.result_to_dict."""
    kept = json.loads(JSON_PATH.read_text()) if JSON_PATH.exists() else {}
    merged = merge_results(kept, results)
    JSON_PATH.write_text(json.dumps(merged, indent=1) + "\n")
    for result in merged.values():
        if result["plot"]:
            draw_plot(result, FIGURES_DIR / f"{result['id'].lower()}.png")
    for page in PAGES:
        page.write_text(fill_blocks(page.read_text(), merged))


def merge_results(kept: Mapping[str, JsonDict], results: Sequence[JsonDict]) -> dict[str, JsonDict]:
    """By id, in its order. Without the single measurements, which stay in DATA_DIR/bench."""
    new = {
        result["id"]: {name: value for name, value in result.items() if name != "measurements"}
        for result in results
    }
    merged = dict(kept) | new
    return {benchmark_id: merged[benchmark_id] for benchmark_id in sorted(merged)}


def fill_blocks(page: str, results: Mapping[str, JsonDict]) -> str:
    """Leaves a block as it is while its benchmark has no result. Raises KeyError if there is a result without
    that figure."""

    def fill(match: re.Match[str]) -> str:
        benchmark_id, *path = match[2].split("::")
        if benchmark_id == ALL and results:
            return f"{match[1]}\n\n{_render_all(results)}\n{match[3]}"
        if benchmark_id not in results:
            return match[0]
        return f"{match[1]}{_find_figure(results[benchmark_id], path)}{match[3]}"

    return _BLOCK.sub(fill, page)


def _find_figure(result: JsonDict, path: Sequence[str]) -> str:
    """The median of a spread; the date of a time."""
    value: Any = result | {"goals": {goal["description"]: goal["actual"] for goal in result["goals"]}}
    for name in path:
        value = value[name]
    if path == ["at"]:
        return str(value)[:10]
    return format_value(value["median"] if isinstance(value, dict) else value)


def _render_all(results: Mapping[str, JsonDict]) -> str:
    newest = max(results.values(), key=lambda result: str(result["at"]))
    lines = [f"- {name}: {newest['machine'][name]}" for name in _MACHINE_NAMES]
    return "\n".join(
        [*lines, "", *(line for result in results.values() for line in _render_result(result, newest))]
    )


def _render_result(result: JsonDict, newest: JsonDict) -> list[str]:
    lines = [f"## {result['id']}: {result['title']}", "", _render_origin(result, newest), ""]
    for number, (title, rows) in enumerate(result_tables(result)):
        lines += [*([f"{title}:", ""] if number else []), *_markdown_table(rows), ""]
    if result["plot"]:
        lines += [f"![{result['title']}](figures/{result['id'].lower()}.png)", ""]
    facts = [f"{name}: {format_value(value)}" for name, value in result["facts"].items()]
    lines += [f"- {line}" for line in (*facts, *result["notes"])]
    lines += [f"- **Violated**: {violation}" for violation in result["violations"]]
    return [*lines, ""]


def _render_origin(result: JsonDict, newest: JsonDict) -> str:
    """Names the machine too if it is not that of the newest result."""
    rounds = max(row["rounds"] for row in result["rows"].values())
    origin = f"{result['at'][:10]}, commit {result['commit']}, {rounds} rounds"
    if result["machine"] == newest["machine"]:
        return f"{origin}."
    return f"{origin}; {'; '.join(result['machine'][name] for name in _MACHINE_NAMES)}."


def _markdown_table(rows: Sequence[Row]) -> list[str]:
    headings, *body = rows
    divider = ["---", *("---:" for _ in headings[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (headings, divider, *body)]


def draw_plot(result: JsonDict, path: Path) -> None:
    """One line per label through the medians, with the range from minimum to maximum."""
    from matplotlib.figure import Figure  # slow to import

    plot = result["plot"]
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for label, points in plot["lines"].items():
        x, low, median, high = zip(*points, strict=True)
        axes.plot(x, median, marker="o" if len(points) < 20 else None, label=label)
        axes.fill_between(x, low, high, alpha=0.2)
    if plot["is_log"]:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sorted({point[0] for points in plot["lines"].values() for point in points}))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(f"{result['id']}: {result['title']}")
    axes.set_xlabel(plot["x_label"])
    axes.set_ylabel(plot["y_label"])
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    # Without its version, so that the same figures give the same file.
    figure.savefig(path, metadata={"Software": None})
