"""Pages in a real Chromium, on a real web process, a real crew and real services.

site      one for the whole folder (tests/pages/site.py): windows of 1.5 ± 0.5 s, testing mode
person    person("Ada") makes an account with a page session and a token (tests/pages/person.py)
visit     visit(ada) opens a browser of their own, signed in, and gives its page; visit(None) is
          anonymous; further keywords go to the context: visit(ada, look=Look(...)),
          visit(ada, java_script_enabled=False). A second page of the same person (a second tab):
          tab = page.context.new_page()
watch     what all pages of the test did wrong (tests/pages/watch.py); checked when it ends
page      the page of one signed-in newcomer, for tests that need no more

Accessibility, layout shift, widths and pictures: tests/pages/looks.py. To look at what the tests
see: LOOK_DIR=/tmp/look pytest tests/pages. `expect(...)` waits up to 30 s: machines are busy.

Chromium comes from the PATH. Without one these tests are skipped with that word; under CI=true
they fail instead.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from sqlalchemy import Engine

from tests.conftest import empty_tables
from tests.pages.looks import Look
from tests.pages.person import Person, newcomer
from tests.pages.site import Site
from tests.pages.watch import PICTURES, Watch
from tests.services.crew import Crew

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)
Meet = Callable[[str], Person]
Visit = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs the services and the browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.service)
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        said = "no chromium on the PATH; the browser tests need it"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(SWITCHES))
        yield running
        running.close()


@pytest.fixture(scope="module")
def _site(
    browser: Browser,
    environment: dict[str, str],
    _engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """After the browser: without one, nothing is started for nothing."""
    empty_tables(_engine)
    short = environment | {
        "AGGREGATION_WINDOW_SECONDS": "1.5",
        "AGGREGATION_JITTER_SECONDS": "0.5",
        "BREAKER_RESET_SECONDS": "1",
        "LOG_FORMAT": "text",
    }
    with redis.Redis.from_url(short["REDIS_URL"]) as connection:
        connection.flushall()
        made = Site(Crew(short, tmp_path_factory.mktemp("site"), connection))
        try:
            made.open()
            yield made
        finally:
            made.crew.dismiss()


@pytest.fixture
def site(_site: Site) -> Site:
    _site.complete()
    return _site


@pytest.fixture
def person(site: Site) -> Meet:
    return lambda name: newcomer(site.url, name)


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    watching = Watch(site.url)
    yield watching
    assert not watching.seen(), "\n".join(watching.seen())


@pytest.fixture
def visit(browser: Browser, site: Site, watch: Watch) -> Iterator[Visit]:
    opened = []

    def opens(who: Person | None, look: Look | None = None, **options: Any) -> Page:
        given = (look.options if look else {}) | {"timezone_id": "Europe/Berlin"} | options
        context = browser.new_context(base_url=site.url, **given)
        opened.append(context)
        context.set_default_timeout(WAIT_MS)
        context.set_default_navigation_timeout(2 * WAIT_MS)
        watch.over(context)
        context.route(f"{PICTURES}**", _picture)
        if who:
            context.add_cookies(who.cookies)  # type: ignore[arg-type]
        return context.new_page()

    yield opens
    for context in opened:
        context.close()


def _picture(route: Route) -> None:
    if route.request.url.endswith("gone"):
        route.fulfill(status=404)
    else:
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
        route.fulfill(body=svg, content_type="image/svg+xml")


@pytest.fixture
def page(visit: Visit, person: Meet) -> Page:
    """A newcomer at the feed."""
    opened = visit(person("Nora"))
    opened.goto("/")
    return opened
