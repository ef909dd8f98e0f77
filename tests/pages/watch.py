"""What a page must never do: errors in its console, a broken policy, a request to elsewhere.

Every page of the fixtures is watched, and its test fails at the end if something was seen.

watch.forgive("WebSocket")               a test that stops the server expects such lines
watch.allow("https://elsewhere.example/") a test that means to ask elsewhere
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

PICTURES = "https://pictures.example/"
"""Where the pictures of posts are, in tests: the fixture `visit` answers for it; "gone" is 404."""


@dataclass
class Watch:
    origin: str
    faults: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=lambda: [PICTURES])

    def forgive(self, *parts: str) -> None:
        """Console lines that contain one of these are expected by this test."""
        self.forgiven += parts

    def allow(self, *prefixes: str) -> None:
        self.allowed += prefixes

    def over(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("page", self._page)

    def seen(self) -> list[str]:
        return [fault for fault in self.faults if not any(part in fault for part in self.forgiven)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text} ({message.location})")

    def _error(self, error: WebError) -> None:
        self.faults.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        self._leaves(request.url)

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self._leaves(socket.url)

    def _leaves(self, url: str) -> None:
        here = urlsplit(self.origin).netloc
        if url.startswith(("data:", "blob:", "about:", *self.allowed)):
            return
        if urlsplit(url).netloc != here:
            self.faults.append(f"a request to elsewhere: {url}")
