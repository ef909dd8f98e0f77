"""Record docs/chime.webp, the animation in the README, from the real pages.

Usage: start the system with short windows, then run the script against it:

    AGGREGATION_WINDOW_SECONDS=8 AGGREGATION_JITTER_SECONDS=0.5 RATE_LIMIT_ENABLED=false make run
    BASE_URL=http://127.0.0.1:8000 .venv/bin/python docs/make_picture.py

It registers the demo user and publishes a post in Chromium, likes the post as other users over the
API, and writes screenshots of the counter, the toasts and the grouped notification as one animated
WebP. Needs Chromium on the PATH.
"""

import io
import itertools
import json
import os
import secrets
import shutil
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
OUTPUT_PATH = Path(__file__).parent / "chime.webp"
PASSWORD = "Demo-2026-chime"  # noqa: S105 - accounts of this recording only
AUTHOR_NAME = "Ada"
LIKER_NAMES = ("Ben", "Cem", "Dina", "Eli", "Fay", "Gus", "Hana", "Ida", "Jon", "Kai", "Lea", "Max")
CAPTION = "First morning swim of the year. Cold, bright, worth it."
VIEWPORT_WIDTH, VIEWPORT_HEIGHT = 960, 600
INSTANT_LIKES = 3
LIKE_INTERVAL_SECONDS = 1.6
MAX_FRAME_MS = 1_600
LAST_FRAME_MS = 4_000
WINDOW_TIMEOUT_SECONDS = 60.0
MAX_BYTES = 1_000_000
WEBP_QUALITIES = (80, 65, 50, 35)
CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]


@dataclass(frozen=True)
class CapturedFrame:
    image: Image.Image
    captured_at: float


class Recorder:
    """Collects screenshots of a page; identical neighbours are stored once."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[CapturedFrame] = []
        self._last_png = b""

    def capture(self) -> None:
        captured_at = time.monotonic()
        png = self._page.screenshot(type="png")
        if png == self._last_png:
            return
        self._last_png = png
        image = Image.open(io.BytesIO(png)).convert("RGB")
        self._frames.append(CapturedFrame(image, captured_at))

    def capture_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.capture()

    def durations_ms(self) -> list[int]:
        """How long each frame is shown: as recorded, but pauses are shortened."""
        starts = [frame.captured_at for frame in self._frames]
        recorded = [
            min(MAX_FRAME_MS, max(20, round((end - start) * 1000)))
            for start, end in itertools.pairwise(starts)
        ]
        return [*recorded, LAST_FRAME_MS]

    def write(self, path: Path) -> None:
        """Write the animation at the best quality that fits into MAX_BYTES."""
        first, *others = [frame.image for frame in self._frames]
        for quality in WEBP_QUALITIES:
            first.save(
                path,
                format="WEBP",
                save_all=True,
                append_images=others,
                duration=self.durations_ms(),
                loop=0,
                quality=quality,
                method=4,
            )
            if path.stat().st_size <= MAX_BYTES:
                break


def call_api(method: str, path: str, token: str = "", body: Any = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the system under BASE_URL
        BASE_URL + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return dict(json.load(response))


def new_account(name: str) -> dict[str, str]:
    """The fields of a registration, with a user name that is free."""
    username = f"{name.lower()}_{secrets.token_hex(3)}"
    email = f"{username}@example.org"
    return {"name": name, "username": username, "email": email, "password": PASSWORD}


def register_over_api(name: str) -> str:
    """Return the access token."""
    return str(call_api("POST", "/api/auth/register", body=new_account(name))["token"])


def register_in_browser(page: Page, name: str) -> None:
    page.goto("/register")
    for field, value in new_account(name).items():
        page.fill(f"[name={field}]", value)
    page.locator("main form button[type=submit]").click()
    expect(page.locator("#bell-button")).to_be_visible()


def publish_post(page: Page, caption: str) -> str:
    """Publish over the form of the feed and wait for the socket; return the post's id."""
    page.goto("/")
    page.fill("#caption", caption)
    page.get_by_role("button", name="Post", exact=True).click()
    page.goto("/")
    post = page.locator("[data-post]", has_text=caption).first
    expect(post).to_be_visible()
    expect(page.locator("html[data-live=yes]")).to_have_count(1)
    return str(post.get_attribute("data-post"))


def record(page: Page, post_id: str, liker_tokens: list[str]) -> Recorder:
    recorder = Recorder(page)
    recorder.capture_for(1.0)
    for position, token in enumerate(liker_tokens):
        call_api("PUT", f"/api/posts/{post_id}/like", token)
        is_instant = position < INSTANT_LIKES
        recorder.capture_for(LIKE_INTERVAL_SECONDS if is_instant else 0.1)
    grouped_toast = page.locator(".toast", has_text=f"{len(liker_tokens) - 1} others")
    deadline = time.monotonic() + WINDOW_TIMEOUT_SECONDS
    while not grouped_toast.count() and time.monotonic() < deadline:
        recorder.capture()
    expect(grouped_toast).to_have_count(1)
    recorder.capture_for(2.0)
    page.locator("#bell-button").click()
    expect(page.locator("#bell-panel")).to_contain_text("others liked your post")
    recorder.capture_for(1.5)
    return recorder


def main() -> int:
    liker_tokens = [register_over_api(name) for name in LIKER_NAMES]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS)
        context = browser.new_context(
            base_url=BASE_URL,
            viewport={"width": VIEWPORT_WIDTH, "height": VIEWPORT_HEIGHT},
            color_scheme="light",
        )
        page = context.new_page()
        register_in_browser(page, AUTHOR_NAME)
        post_id = publish_post(page, CAPTION)
        recorder = record(page, post_id, liker_tokens)
        browser.close()
    recorder.write(OUTPUT_PATH)
    size_kb = OUTPUT_PATH.stat().st_size / 1000
    sys.stdout.write(f"{OUTPUT_PATH}: {size_kb:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
