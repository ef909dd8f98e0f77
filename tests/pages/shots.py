"""The pictures of the README: python -m tests.pages.shots, against a running system (BASE_URL).

In    `make run` from this folder (it makes an administrator), best with short windows
Out   docs/screenshots/*.webp, each below 60 kB
"""

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import ROOT
from tests.pages.conftest import SWITCHES
from tests.pages.looks import Look
from tests.pages.person import Person, newcomer

FOLDER = ROOT / "docs/screenshots"
MOST_BYTES = 60_000
DESK_LIGHT, DESK_DARK = Look(1280, 800, "light"), Look(1280, 800, "dark")
PHONE_LIGHT, PHONE_DARK = Look(390, 800, "light"), Look(390, 800, "dark")
CROWD = ("Ben Okri", "Cem Aydin", "Dina Haddad", "Eli Novak", "Fay Lindqvist", "Gus Moreau")


def shoot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    debugger = page.context.new_cdp_session(page)
    for quality in (80, 60, 40, 20):
        taken = debugger.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        picture = base64.b64decode(taken["data"])
        if len(picture) <= MOST_BYTES:
            break
    FOLDER.mkdir(parents=True, exist_ok=True)
    Path(FOLDER / f"{name}.webp").write_bytes(picture)


def opened(browser: Browser, who: Person, look: Look) -> Page:
    context = browser.new_context(base_url=who.url, timezone_id="Europe/Berlin", **look.options)
    context.add_cookies(who.cookies)  # type: ignore[arg-type]
    return context.new_page()


def arrange(url: str) -> tuple[Person, str]:
    """Ada, her post and what others do around it."""
    ada, *crowd = (newcomer(url, name) for name in ("Ada Lovelace", *CROWD))
    bread = crowd[0].posts("Does anybody else name their sourdough starters? Mine: Bread Pitt.")
    bridge = crowd[1].posts("The old bridge is open again!")
    swim = ada.posts("First morning swim of the year. Cold, bright, worth it.")
    ada.follows(crowd[0])
    for one in crowd:
        one.likes(swim)
        one.follows(ada)
        one.likes(bridge)
    ada.likes(bread)
    said = crowd[2].comments(swim, "Lovely! Count me in next time.")
    crowd[3].replies(ada.replies(said, "Thursday at seven, by the bridge?"), "Done.")
    crowd[4].comments(swim, "Brrr. How cold exactly?")
    return ada, swim


def promote(who: Person) -> None:
    """The dashboard shows its figures to administrators."""
    admin = ["-m", "app.admin", "create-admin", who.email]
    command = [sys.executable, "-m", "infra", "exec", "--", sys.executable, *admin]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def main() -> int:
    url = os.environ.get("BASE_URL", "http://127.0.0.1:8000")
    ada, swim = arrange(url)
    promote(ada)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        page = opened(browser, ada, DESK_LIGHT)
        page.goto("/")
        expect(page.locator("#badge")).to_be_visible()
        page.locator("#bell-button").click()
        shoot(page, "feed-and-bell")
        page = opened(browser, ada, DESK_DARK)
        page.goto("/dashboard")
        expect(page.locator("#picture .rate").first).to_contain_text(re.compile(r"[0-9]"))
        pipeline = page.get_by_role("heading", name="Pipeline")
        pipeline.evaluate("(one) => one.scrollIntoView({ block: 'start' })")
        shoot(page, "dashboard")
        page = opened(browser, ada, PHONE_DARK)
        page.goto(f"/posts/{swim}")
        shoot(page, "post-phone")
        page = opened(browser, ada, PHONE_LIGHT)
        page.goto("/preferences")
        shoot(page, "preferences-phone")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
