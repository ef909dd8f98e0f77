"""The watch and the measures notice what they are there for: each of them fails when it should."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.looks import check_axe, check_width, shifts, watch_shifts
from tests.pages.site import Site
from tests.pages.watch import Watch
from tests.services.crew import until

_INLINE = """() => {
  const script = document.createElement("script");
  script.textContent = "window.ran = true";
  document.head.append(script);
}"""
_PUSH = """() => {
  const box = document.createElement("div");
  box.className = "pushed";
  box.textContent = "something above everything else";
  box.attributeStyleMap.set("height", CSS.px(200));
  document.getElementById("main").before(box);
}"""


@pytest.mark.parametrize(
    ("doing", "sign"),
    [
        pytest.param("() => console.error('oh')", "error: oh", id="a line in the console"),
        pytest.param("() => { setTimeout(() => oh.no) }", "uncaught: ", id="an exception"),
        pytest.param(_INLINE, "Content Security Policy", id="a script in the page"),
        pytest.param(
            "() => { new Image().src = 'https://elsewhere.example/x.png' }",
            "a request to elsewhere: https://elsewhere.example/x.png",
            id="a request to elsewhere",
        ),
    ],
)
def test_a_fault_is_seen(page: Page, watch: Watch, doing: str, sign: str) -> None:
    page.evaluate(doing)

    def noticed() -> bool:
        page.title()  # events arrive while something is asked
        return any(sign in fault for fault in watch.seen())

    until(noticed, 10, sign)
    watch.faults.clear()


def test_a_jump_is_measured(page: Page) -> None:
    expect(page.locator("#main")).to_be_visible()
    watch_shifts(page)
    page.evaluate(_PUSH)
    assert shifts(page) > 0


def test_what_cannot_be_read_is_found(page: Page, site: Site) -> None:
    page.evaluate("() => document.getElementById('main').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        check_axe(page)


def test_what_is_too_wide_is_found(page: Page) -> None:
    page.evaluate("() => { document.body.attributeStyleMap.set('width', CSS.px(3000)) }")
    with pytest.raises(AssertionError, match="wider than its window"):
        check_width(page)
