"""How a page looks and feels, measured: accessibility, layout shift, sideways scroll, pictures.

check_axe(page)                     axe-core finds nothing; the message says what and where
watch_shifts(page) ... shifts(page) how far things moved by themselves since (0.0 is the goal)
check_targets(page)                 nothing to press is too small
check_width(page)                   nothing to scroll sideways
picture(page, "feed")               a PNG in the folder that LOOK_DIR names; without it nothing
LOOKS                               parameters for light, dark, wide and phone; see `look`
"""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page

_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
_SHIFTS = """() => {
  window.__shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.__shifts.push([entry.value, entry.sources.map(({ node }) =>
        node?.nodeType === 1 ? node.outerHTML.slice(0, 120) : node?.nodeName)]);
    }
  }).observe({ type: "layout-shift", buffered: false });
}"""


@dataclass(frozen=True)
class Look:
    """A screen and a colour scheme."""

    width: int
    height: int
    scheme: Literal["light", "dark"]

    @property
    def phone(self) -> bool:
        return self.width < 600

    @property
    def name(self) -> str:
        return f"{self.width}-{self.scheme}"

    @property
    def options(self) -> dict[str, Any]:
        """For a browser context."""
        return {
            "viewport": {"width": self.width, "height": self.height},
            "color_scheme": self.scheme,
            "has_touch": self.phone,
        }


_ALL = [
    Look(1280, 800, "light"),
    Look(1280, 800, "dark"),
    Look(375, 720, "light"),
    Look(375, 720, "dark"),
]
LOOKS = [pytest.param(look, id=look.name) for look in _ALL]


def check_axe(page: Page, within: str = "body") -> None:
    """Nothing that axe-core knows is wrong, nor that a name lacks its visible text (a rule that is
    off by itself). Injected over the debugger: the policy stays."""
    page.evaluate(_AXE)
    found = page.evaluate(
        """(within) => axe.run(within, {
            resultTypes: ["violations"],
            rules: { "label-content-name-mismatch": { enabled: true } },
        })""",
        within,
    )
    faults = [
        f"{one['id']}: {one['help']}\n    {node['target']} {node['html'][:200]}\n"
        f"    {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
    assert not faults, f"{page.url}\n" + "\n".join(faults)


def check_targets(page: Page) -> None:
    """What one presses is 24 px and more, or stands well apart (WCAG 2.5.8)."""
    page.evaluate(_AXE)
    found = page.evaluate("() => axe.run('body', { runOnly: ['target-size'] })")
    small = [node["html"][:160] for one in found["violations"] for node in one["nodes"]]
    assert not small, f"{page.url}: too small: {small}"


def watch_shifts(page: Page) -> None:
    page.evaluate(_SHIFTS)


def shifts(page: Page) -> float:
    """The sum since watch_shifts; two frames are waited for, so that nothing is still to come."""
    frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(frames)
    return float(sum(value for value, _ in page.evaluate("window.__shifts")))


def moved(page: Page) -> list[Any]:
    """What moved, for messages."""
    return list(page.evaluate("window.__shifts"))


def check_width(page: Page) -> None:
    wide = page.evaluate(
        """() => {
          const limit = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= limit) return [];
          return [...document.querySelectorAll("body *")]
            .filter((one) => one.getBoundingClientRect().right > limit + 1)
            .map((one) => one.outerHTML.slice(0, 120));
        }"""
    )
    assert not wide, f"{page.url} is wider than its window: {wide[:5]}"


def picture(page: Page, name: str, whole: bool = False) -> None:
    folder = os.environ.get("LOOK_DIR")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole, animations="disabled")
