"""Record docs/chime.webp, the animation in the README: a storm on the real page.

Usage: start the system, then run the script against it. Nothing else should use the machine meanwhile.

    make run
    BASE_URL=http://127.0.0.1:8000 .venv/bin/python docs/make_picture.py

It enters as Ada in Chromium, starts a storm, and writes screenshots of its ledger, its charts and its
result as one animated WebP. Needs Chromium on the PATH.
"""

import io
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
OUTPUT_PATH = Path(__file__).parent / "chime.webp"
VIEWPORT_WIDTH, VIEWPORT_HEIGHT = 960, 600
LIKES, LIKES_PER_SECOND = 4_000, 400
STORM_TIMEOUT_SECONDS = 240.0
FRAME_MS, LAST_FRAME_MS = 250, 4_000
CAPTURE_INTERVAL_SECONDS = 1.0
SCROLL_MS = 200
MAX_BYTES = 1_000_000
WEBP_QUALITIES = (80, 65, 50, 35)
CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]


@dataclass(frozen=True)
class CapturedFrame:
    image: Image.Image
    duration_ms: int


class Recorder:
    """Collects screenshots of a page; identical neighbours are stored once."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[CapturedFrame] = []
        self._last_png = b""

    def capture(self, duration_ms: int = FRAME_MS) -> None:
        png = self._page.screenshot(type="png")
        if png == self._last_png:
            return
        self._last_png = png
        self._frames.append(CapturedFrame(Image.open(io.BytesIO(png)).convert("RGB"), duration_ms))

    def write(self, path: Path) -> None:
        """Write the animation at the best quality that fits into MAX_BYTES."""
        first, *others = [frame.image for frame in self._frames]
        for quality in WEBP_QUALITIES:
            first.save(
                path,
                format="WEBP",
                save_all=True,
                append_images=others,
                duration=[frame.duration_ms for frame in self._frames],
                loop=0,
                quality=quality,
                method=4,
            )
            if path.stat().st_size <= MAX_BYTES:
                break


def enter_as_ada(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Enter as Ada").click()
    page.get_by_role("button", name="Do not show again").click()


def scroll_to(page: Page, selector: str) -> None:
    page.locator(selector).evaluate(
        "element => element.closest('section, .chart-columns').scrollIntoView({behavior: 'instant'})"
    )
    page.wait_for_timeout(SCROLL_MS)


def record_storm(page: Page) -> Recorder:
    recorder = Recorder(page)
    page.goto("/storm")
    page.fill("#storm-likes", str(LIKES))
    page.fill("#storm-rate", str(LIKES_PER_SECOND))
    recorder.capture(2_000)
    page.click("#storm-start")
    expect(page.locator("#storm-cancel")).to_be_enabled()
    deadline = time.monotonic() + STORM_TIMEOUT_SECONDS
    second = 0
    while page.locator("#storm-cancel").is_enabled() and time.monotonic() < deadline:
        scroll_to(page, "#ledger-title" if second % 20 < 8 else "#storm-answered")
        recorder.capture()
        time.sleep(CAPTURE_INTERVAL_SECONDS)
        second += 1
    expect(page.locator("#export-json")).to_be_enabled(timeout=STORM_TIMEOUT_SECONDS * 1000)
    for selector in ("#storm-answered", "#result-title", "#ledger-title"):
        scroll_to(page, selector)
        recorder.capture(LAST_FRAME_MS)
    return recorder


def main() -> int:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS)
        context = browser.new_context(
            base_url=BASE_URL,
            viewport={"width": VIEWPORT_WIDTH, "height": VIEWPORT_HEIGHT},
            color_scheme="light",
        )
        page = context.new_page()
        enter_as_ada(page)
        recorder = record_storm(page)
        browser.close()
    recorder.write(OUTPUT_PATH)
    sys.stdout.write(f"{OUTPUT_PATH}: {OUTPUT_PATH.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
