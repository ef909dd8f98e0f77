"""Helpers for tests of the notification panel, the page /notifications and the toasts."""

from playwright.sync_api import Locator, Page, expect

from tests.support.user import BrowserUser

PANEL_SELECTOR, INBOX_SELECTOR = "#bell-panel", "#page-inbox"


def notification_rows(page: Page, container: str = PANEL_SELECTOR) -> Locator:
    return page.locator(f"{container} [data-notification]")


def open_panel(page: Page, expected_count: int) -> Locator:
    """Opens the panel and waits until it has `expected_count` rows."""
    page.locator("#bell-button").click()
    expect(notification_rows(page)).to_have_count(expected_count)
    return page.locator(PANEL_SELECTOR)


def open_row_actions(row: Locator) -> None:
    """Where no pointer hovers, a button opens the others of the row."""
    more_button = row.get_by_role("button", name="Actions")
    if more_button.is_visible():
        more_button.click()


def wait_until_live(page: Page) -> None:
    """Waits until the socket has joined: from then on client events arrive at once."""
    expect(page.locator("html")).to_have_attribute("data-live", "yes", timeout=30_000)


def record_toasts(page: Page) -> None:
    """Starts recording every toast, including those that disappear quickly.

    Read with `recorded_toast_texts` and `max_simultaneous_toasts`.
    """
    wait_until_live(page)
    page.evaluate(
        """() => {
          const area = document.getElementById("toasts");
          window.__toastTexts = [];
          window.__maxToasts = 0;
          new MutationObserver((changes) => {
            window.__maxToasts = Math.max(window.__maxToasts, area.children.length);
            for (const change of changes)
              for (const element of change.addedNodes)
                if (element.dataset?.toast) window.__toastTexts.push(element.querySelector("p").textContent);
          }).observe(area, { childList: true });
        }"""
    )


def recorded_toast_texts(page: Page) -> list[str]:
    """The texts of the toasts shown since `record_toasts`."""
    return list(page.evaluate("window.__toastTexts"))


def max_simultaneous_toasts(page: Page) -> int:
    return int(page.evaluate("window.__maxToasts"))


def open_inbox(page: Page, expected_count: int) -> None:
    """Opens /notifications and waits until its scripts have taken the list over."""
    page.goto("/notifications")
    expect(page.locator(f"{INBOX_SELECTOR} [data-version]").first).to_be_visible()
    expect(notification_rows(page, INBOX_SELECTOR)).to_have_count(expected_count)
    wait_until_live(page)


def like_new_posts(likers: list[BrowserUser], owner: BrowserUser, count: int) -> list[str]:
    """Creates `count` notification groups: one like each, on a post of its own."""
    post_ids = [owner.create_post(f"Post {number}") for number in range(count)]
    for index, post_id in enumerate(post_ids):
        likers[index % len(likers)].like(post_id)
    return post_ids
