"""PageErrorMonitor: records console errors, uncaught exceptions and requests to other hosts.

Attached to every browser context of the fixture `open_page`; a test fails at its end if an unexpected error
was recorded. Tests that cause errors on purpose name them with `expect_errors` and `allow_urls`.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

IMAGE_BASE_URL = "https://pictures.example/"
"""Base URL of post images in tests; the fixture `open_page` serves it, and "gone" is a 404."""


@dataclass
class PageErrorMonitor:
    origin: str
    errors: list[str] = field(default_factory=list)
    expected_fragments: list[str] = field(default_factory=list)
    allowed_url_prefixes: list[str] = field(default_factory=lambda: [IMAGE_BASE_URL])

    def expect_errors(self, *fragments: str) -> None:
        """Console lines that contain one of these are expected by this test."""
        self.expected_fragments += fragments

    def allow_urls(self, *prefixes: str) -> None:
        self.allowed_url_prefixes += prefixes

    def attach(self, context: BrowserContext) -> None:
        context.on("console", self._on_console)
        context.on("weberror", self._on_page_error)
        context.on("request", self._on_request)
        context.on("page", self._on_page)

    def unexpected_errors(self) -> list[str]:
        return [
            error
            for error in self.errors
            if not any(fragment in error for fragment in self.expected_fragments)
        ]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text} ({message.location})")

    def _on_page_error(self, error: WebError) -> None:
        self.errors.append(f"uncaught: {error.error}")

    def _on_request(self, request: Request) -> None:
        self._check_url(request.url)

    def _on_page(self, page: Page) -> None:
        page.on("websocket", self._on_websocket)

    def _on_websocket(self, socket: WebSocket) -> None:
        self._check_url(socket.url)

    def _check_url(self, url: str) -> None:
        own_host = urlsplit(self.origin).netloc
        if url.startswith(("data:", "blob:", "about:", *self.allowed_url_prefixes)):
            return
        if urlsplit(url).netloc != own_host:
            self.errors.append(f"request to another host: {url}")
