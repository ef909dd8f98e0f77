"""Checks of a page: axe-core, target sizes, layout shift, horizontal scrolling; and screenshots."""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page

_AXE_SCRIPT = files("axe_playwright_python").joinpath("axe.min.js").read_text()
_RECORD_SHIFTS_SCRIPT = """() => {
  window.__shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.__shifts.push([entry.value, entry.sources.map(({ node, previousRect, currentRect }) =>
        [node?.nodeType === 1 ? node.outerHTML.slice(0, 120) : `#text ${node?.textContent.trim()}`,
          JSON.stringify([previousRect, currentRect])])]);
    }
  }).observe({ type: "layout-shift", buffered: false });
}"""


@dataclass(frozen=True)
class DisplayProfile:
    """A screen and a colour scheme."""

    width: int
    height: int
    color_scheme: Literal["light", "dark"]

    @property
    def is_phone(self) -> bool:
        return self.width < 600

    @property
    def name(self) -> str:
        return f"{self.width}-{self.color_scheme}"

    @property
    def context_options(self) -> dict[str, Any]:
        """For a browser context."""
        return {
            "viewport": {"width": self.width, "height": self.height},
            "color_scheme": self.color_scheme,
            "has_touch": self.is_phone,
        }


DISPLAY_PROFILES = [
    pytest.param(profile, id=profile.name, marks=() if profile.name == "320-dark" else pytest.mark.drill)
    for profile in (
        DisplayProfile(320, 640, "dark"),
        DisplayProfile(375, 720, "light"),
        DisplayProfile(375, 720, "dark"),
        DisplayProfile(1280, 800, "light"),
        DisplayProfile(1280, 800, "dark"),
        DisplayProfile(1920, 1080, "light"),
    )
]
"""`make test` runs the narrowest, where most goes wrong; `make drill` runs all."""
"""`make test` runs the narrow dark one, in which most faults show; `make drill` runs all."""


def assert_accessible(page: Page, selector: str = "body") -> None:
    """axe-core finds no violation, including "label-content-name-mismatch", which is off by default.

    The script is evaluated through the debugger, so the Content Security Policy stays in force.
    """
    page.evaluate(_AXE_SCRIPT)
    result = page.evaluate(
        """(selector) => axe.run(selector, {
            resultTypes: ["violations"],
            rules: { "label-content-name-mismatch": { enabled: true } },
        })""",
        selector,
    )
    violations = [
        f"{violation['id']}: {violation['help']}\n    {node['target']} {node['html'][:200]}\n"
        f"    {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]
    assert not violations, f"{page.url}\n" + "\n".join(violations)


def assert_target_sizes(page: Page) -> None:
    """Every target is at least 24 px wide and high, or spaced accordingly (WCAG 2.5.8)."""
    page.evaluate(_AXE_SCRIPT)
    result = page.evaluate("() => axe.run('body', { runOnly: ['target-size'] })")
    small_targets = [node["html"][:160] for violation in result["violations"] for node in violation["nodes"]]
    assert not small_targets, f"{page.url}: targets too small: {small_targets}"


def record_layout_shifts(page: Page) -> None:
    page.evaluate(_RECORD_SHIFTS_SCRIPT)


def layout_shift_score(page: Page) -> float:
    """The sum of the shifts since `record_layout_shifts`, after two more animation frames."""
    wait_two_frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(wait_two_frames)
    return float(sum(value for value, _ in page.evaluate("window.__shifts")))


def layout_shift_details(page: Page) -> list[Any]:
    """Score and elements of each shift, for failure messages."""
    return list(page.evaluate("window.__shifts"))


def assert_no_horizontal_scroll(page: Page) -> None:
    overflowing = page.evaluate(
        """() => {
          const limit = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= limit) return [];
          return [...document.querySelectorAll("body *")]
            .filter((element) => element.getBoundingClientRect().right > limit + 1)
            .map((element) => element.outerHTML.slice(0, 120));
        }"""
    )
    assert not overflowing, f"{page.url} is wider than its window: {overflowing[:5]}"


def save_screenshot(page: Page, name: str, is_full_page: bool = False) -> None:
    """Saves a PNG in the folder that SCREENSHOT_DIR names; without the variable does nothing."""
    folder = os.environ.get("SCREENSHOT_DIR")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=is_full_page, animations="disabled")
