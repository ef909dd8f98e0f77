"""The checks of tests/support detect what they are for: console errors, layout shifts, violations."""

import pytest
from playwright.sync_api import Page, expect

from harness.waiting import wait_until
from tests.support.accessibility import (
    assert_accessible,
    assert_no_horizontal_scroll,
    layout_shift_score,
    record_layout_shifts,
)
from tests.support.console_errors import PageErrorMonitor
from tests.support.server import WebServer

_ADD_INLINE_SCRIPT = """() => {
  const script = document.createElement("script");
  script.textContent = "window.ran = true";
  document.head.append(script);
}"""
_INSERT_BOX_ABOVE = """() => {
  const box = document.createElement("div");
  box.textContent = "a box above everything else";
  box.attributeStyleMap.set("height", CSS.px(200));
  document.getElementById("main").before(box);
}"""


@pytest.mark.parametrize(
    ("script", "expected_error"),
    [
        pytest.param("() => console.error('oh')", "error: oh", id="console error"),
        pytest.param("() => { setTimeout(() => oh.no) }", "uncaught: ", id="uncaught exception"),
        pytest.param(_ADD_INLINE_SCRIPT, "Content Security Policy", id="inline script"),
        pytest.param(
            "() => { new Image().src = 'https://elsewhere.example/x.png' }",
            "request to another host: https://elsewhere.example/x.png",
            id="request to another host",
        ),
    ],
)
def test_console_error_is_detected(
    page: Page, page_errors: PageErrorMonitor, script: str, expected_error: str
) -> None:
    page.evaluate(script)

    def is_recorded() -> bool:
        page.title()  # Playwright dispatches events only during a call
        return any(expected_error in error for error in page_errors.unexpected_errors())

    wait_until(is_recorded, expected_error, 10)
    page_errors.expect_errors(expected_error)
    # The browser also reports, later, that it did not find the other host.
    page_errors.expect_errors("ERR_NAME_NOT_RESOLVED")


def test_layout_shift_is_measured(page: Page) -> None:
    expect(page.locator("#main")).to_be_visible()
    record_layout_shifts(page)
    page.evaluate(_INSERT_BOX_ABOVE)
    assert layout_shift_score(page) > 0


def test_inaccessible_content_is_detected(page: Page, web_server: WebServer) -> None:
    page.evaluate("() => document.getElementById('main').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        assert_accessible(page)


def test_horizontal_overflow_is_detected(page: Page) -> None:
    page.evaluate("() => { document.body.attributeStyleMap.set('width', CSS.px(3000)) }")
    with pytest.raises(AssertionError, match="wider than its window"):
        assert_no_horizontal_scroll(page)
