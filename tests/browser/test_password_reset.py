"""Password reset through the pages: request, token from the message, new password."""

import re
from pathlib import Path

from playwright.sync_api import expect

from harness.waiting import wait_until
from tests.browser.conftest import OpenPage, RegisterUser
from tests.support.console_errors import PageErrorMonitor
from tests.support.server import WebServer
from tests.support.user import PASSWORD

MESSAGE_TIMEOUT_SECONDS = 60.0


def reset_tokens(web_server: WebServer, email: str) -> list[str]:
    """The tokens in the messages to `email`."""
    message_folder = Path(web_server.processes.environment["DATA_DIR"]) / "outbox"
    messages = [path.read_text() for path in message_folder.glob("[!.]*")] if message_folder.exists() else []
    matches = [re.search(r"token=([\w.~-]+)", message) for message in messages if email in message]
    return [match[1] for match in matches if match]


def test_forgotten_password_can_be_reset(
    open_page: OpenPage,
    register_user: RegisterUser,
    web_server: WebServer,
    page_errors: PageErrorMonitor,
) -> None:
    page_errors.expect_errors("400")
    ada, page = register_user("Ada"), open_page(None)
    page.goto("/login")
    page.get_by_role("link", name="Forgotten your password?").click()
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_role("button", name="Send the message").click()
    expect(page.get_by_role("status").filter(has_text="a message is on its way")).to_be_visible()

    page.get_by_role("link", name="I have the token").click()
    page.get_by_label("Token from the message").fill("no-such-token")
    page.get_by_label("New password").fill(PASSWORD + "2")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("alert")).to_have_text("Invalid or expired reset token")

    wait_until(lambda: reset_tokens(web_server, ada.email), "the message", MESSAGE_TIMEOUT_SECONDS)
    page.goto(f"/password/reset?token={reset_tokens(web_server, ada.email)[0]}")
    page.get_by_label("New password").fill(PASSWORD + "2")
    page.get_by_role("button", name="Change it").click()
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password").fill(PASSWORD + "2")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url("/")
