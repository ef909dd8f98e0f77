"""Fixtures for tests in a real Chromium against a real web process, workers and services.

web_server     one per run (tests/support/server.py): windows of 1.5 ± 0.5 s, testing mode
register_user  register_user("Ada") creates an account with a session and a token (tests/support/user.py)
open_page      open_page(ada) opens a page in a new browser context, logged in; open_page(None) is anonymous.
               Further keywords go to the context: open_page(ada, display_profile=DisplayProfile(...)),
               open_page(ada, java_script_enabled=False). A second tab: page.context.new_page()
page_errors    console errors and unexpected requests of all pages (tests/support/console_errors.py);
               checked when the test ends
page           the feed of a newly registered user

Screenshots of what the tests see: SCREENSHOT_DIR=/tmp/screenshots pytest tests/browser.
`expect(...)` waits up to 30 s, because the machine may be busy.

Chromium comes from the PATH. Without it these tests are skipped; under CI=true they fail instead.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.support.accessibility import DisplayProfile
from tests.support.console_errors import IMAGE_BASE_URL, PageErrorMonitor
from tests.support.processes import ProcessGroup
from tests.support.server import WebServer
from tests.support.user import BrowserUser, register_browser_user

CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEFAULT_TIMEOUT_MS = 30_000
expect.set_options(timeout=DEFAULT_TIMEOUT_MS)
RegisterUser = Callable[[str], BrowserUser]
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs the services and the browser."""
    browser_folder = Path(__file__).parent
    for item in items:
        if browser_folder in item.path.parents:
            item.add_marker(pytest.mark.service)
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if not executable:
        reason = "no chromium on the PATH; the browser tests need it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_ARGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def shared_web_server(browser: Browser, shared_processes: ProcessGroup) -> WebServer:
    """Depends on the browser, so that nothing is started when there is none."""
    web_server = WebServer(shared_processes)
    web_server.start()
    return web_server


@pytest.fixture
def web_server(shared_web_server: WebServer, module_processes: ProcessGroup) -> WebServer:
    shared_web_server.restart_missing()
    return shared_web_server


@pytest.fixture
def register_user(web_server: WebServer) -> RegisterUser:
    return lambda name: register_browser_user(web_server.base_url, name)


@pytest.fixture
def page_errors(web_server: WebServer) -> Iterator[PageErrorMonitor]:
    monitor = PageErrorMonitor(web_server.base_url)
    yield monitor
    assert not monitor.unexpected_errors(), "\n".join(monitor.unexpected_errors())


@pytest.fixture
def open_page(browser: Browser, web_server: WebServer, page_errors: PageErrorMonitor) -> Iterator[OpenPage]:
    contexts = []

    def open_as(
        user: BrowserUser | None, display_profile: DisplayProfile | None = None, **options: Any
    ) -> Page:
        context_options = (
            (display_profile.context_options if display_profile else {})
            | {"timezone_id": "Europe/Berlin"}
            | options
        )
        context = browser.new_context(base_url=web_server.base_url, **context_options)
        contexts.append(context)
        context.set_default_timeout(DEFAULT_TIMEOUT_MS)
        context.set_default_navigation_timeout(2 * DEFAULT_TIMEOUT_MS)
        page_errors.attach(context)
        context.route(f"{IMAGE_BASE_URL}**", _serve_image)
        if user:
            context.add_cookies(user.cookies)  # type: ignore[arg-type]
        return context.new_page()

    yield open_as
    for context in contexts:
        context.close()


def _serve_image(route: Route) -> None:
    if route.request.url.endswith("gone"):
        route.fulfill(status=404)
    else:
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
        route.fulfill(body=svg, content_type="image/svg+xml")


@pytest.fixture
def ada(register_user: RegisterUser) -> BrowserUser:
    return register_user("Ada")


@pytest.fixture
def page(open_page: OpenPage, ada: BrowserUser) -> Page:
    """The feed of Ada."""
    feed_page = open_page(ada)
    feed_page.goto("/")
    return feed_page
