"""Getting back in: the message, the token in it, the new password."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.pages.conftest import Meet, Visit
from tests.pages.person import PASSWORD
from tests.pages.site import Site
from tests.pages.watch import Watch
from tests.services.crew import until

SECONDS = 60.0


def tokens(site: Site, email: str) -> list[str]:
    outbox = Path(site.crew.environment["DATA_DIR"]) / "outbox"
    texts = [one.read_text() for one in outbox.glob("*")] if outbox.exists() else []
    found = [re.search(r"token=([\w.~-]+)", text) for text in texts if email in text]
    return [one[1] for one in found if one]


def test_a_forgotten_password_is_replaced(
    visit: Visit, person: Meet, site: Site, watch: Watch
) -> None:
    watch.forgive("400")
    ada, page = person("Ada"), visit(None)
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

    until(lambda: tokens(site, ada.email), SECONDS, "the message")
    page.goto(f"/password/reset?token={tokens(site, ada.email)[0]}")
    page.get_by_label("New password").fill(PASSWORD + "2")
    page.get_by_role("button", name="Change it").click()
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password").fill(PASSWORD + "2")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url("/")
