"""The figures that everybody may see, from the stages of a health report."""

from typing import Any

import pytest

from app.operations.health.public_figures import PublicFigures, summarize
from app.operations.open_windows import WindowFigures


def _stage(name: str, **figures: Any) -> dict[str, Any]:
    return {"name": name, "in": 0, "out": 0, "held": 0, "lag": 0, "outcomes": {}} | figures


def _stages(**figures_by_name: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("bridge", "fallback", "aggregator", "flusher", "deliverer")
    return [_stage(name, **figures_by_name.get(name, {})) for name in names]


def test_figures_are_summed_over_the_stages() -> None:
    stages = _stages(
        bridge={"in": 100, "held": 1},
        fallback={"held": 2},
        aggregator={"lag": 3, "outcomes": {"delivered": 40, "merged": 1, "gathered": 50, "muted": 5}},
        flusher={"held": 4, "outcomes": {"delivered": 30, "retracted": 2}},
        deliverer={"out": 55},
    )

    figures = summarize(stages, WindowFigures(5, 1, 4, 10.0))

    assert figures == PublicFigures(accepted=100, waiting=10, written=71, delivered=55, open_windows=6)


@pytest.mark.parametrize(
    ("stages", "figures"),
    [
        pytest.param(
            _stages(
                bridge={"in": None, "held": None},
                fallback={"held": 2},
                aggregator={"out": None, "lag": None},
                flusher={"out": None, "held": None},
                deliverer={"out": None},
            ),
            PublicFigures(waiting=2),
            id="without Redis",
        ),
        pytest.param(
            _stages(bridge={"in": 7, "held": 1}, fallback={"held": None}, aggregator={"lag": None}),
            PublicFigures(accepted=7, waiting=1, written=0, delivered=0),
            id="without PostgreSQL and Kafka",
        ),
        pytest.param(
            _stages(
                bridge={"in": None, "held": None},
                fallback={"held": None},
                aggregator={"out": None, "lag": None},
                flusher={"out": None, "held": None},
                deliverer={"out": None},
            ),
            PublicFigures(),
            id="without any service",
        ),
    ],
)
def test_unknown_figure_is_none(stages: list[dict[str, Any]], figures: PublicFigures) -> None:
    assert summarize(stages, None) == figures
