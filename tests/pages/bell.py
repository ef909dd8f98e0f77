"""The bell as a person sees it: what the tests of the panel, the inbox and the toasts share."""

from playwright.sync_api import Locator, Page, expect

from tests.pages.person import Person

PANEL, INBOX = "#bell-panel", "#page-inbox"


def lines(page: Page, where: str = PANEL) -> Locator:
    return page.locator(f"{where} [data-notification]")


def opened(page: Page, count: int) -> Locator:
    """The panel, open and filled with so many lines."""
    page.locator("#bell-button").click()
    expect(lines(page)).to_have_count(count)
    return page.locator(PANEL)


def live(page: Page) -> None:
    """Waits until the page hears what happens: a frame from now on reaches it at once."""
    expect(page.locator("html")).to_have_attribute("data-live", "yes", timeout=30_000)


def listening(page: Page) -> None:
    """From now on `rung` and `most_at_once` know of each toast, however soon it leaves."""
    live(page)
    page.evaluate(
        """() => {
          const area = document.getElementById("toasts");
          window.__rung = [];
          window.__most = 0;
          new MutationObserver((changes) => {
            window.__most = Math.max(window.__most, area.children.length);
            for (const change of changes)
              for (const box of change.addedNodes)
                if (box.dataset?.toast) window.__rung.push(box.querySelector("p").textContent);
          }).observe(area, { childList: true });
        }"""
    )


def rung(page: Page) -> list[str]:
    """What the toasts of this page said so far."""
    return list(page.evaluate("window.__rung"))


def most_at_once(page: Page) -> int:
    return int(page.evaluate("window.__most"))


def inbox(page: Page, count: int) -> None:
    """The page /notifications, taken over by its scripts."""
    page.goto("/notifications")
    expect(page.locator(f"{INBOX} .group-tools [aria-expanded]").first).to_be_visible()
    expect(lines(page, INBOX)).to_have_count(count)
    live(page)


def likes(people: list[Person], ada: Person, count: int) -> list[str]:
    """So many groups: one like each, on a post of its own."""
    posts = [ada.posts(f"Post {place}") for place in range(count)]
    for place, post in enumerate(posts):
        people[place % len(people)].likes(post)
    return posts
