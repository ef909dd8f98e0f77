"""Renders a page of docs/ as HTML: headings get ids, tables can scroll, links to other files become text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class RenderedDocument:
    html: Markup
    sections: Sequence[tuple[str, str]]
    """Id and text of each heading of the second level."""


def render_document(source: str) -> RenderedDocument:
    """HTML in the source is shown as text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(source)
    sections = list(_number_headings(tokens))
    for token in tokens:
        if token.children:
            token.children = list(_without_file_links(token.children))
    html = parser.renderer.render(list(_with_scrolling_tables(tokens)), parser.options, {})
    return RenderedDocument(Markup(html), sections)  # noqa: S704 - the parser escapes HTML


def _number_headings(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            section_id = re.sub(r"[^\w]+", "-", content.content.lower()).strip("-")
            token.attrSet("id", section_id)
            yield section_id, content.content


def _without_file_links(tokens: Sequence[Token]) -> Iterator[Token]:
    is_dropped = False
    for token in tokens:
        if token.type == "link_open":
            is_dropped = not str(token.attrGet("href")).startswith(("https:", "/", "#"))
        if not (is_dropped and token.type in ("link_open", "link_close")):
            yield token


def _with_scrolling_tables(tokens: Sequence[Token]) -> Iterator[Token]:
    """A focusable region around each table, so that it can be scrolled with the keyboard."""
    table_count = 0
    for token in tokens:
        if token.type == "table_open":
            table_count += 1
            region = Token("region_open", "div", 1, block=True)
            region.attrs = {
                "class": "scroll",
                "tabindex": "0",
                "role": "region",
                "aria-label": f"Table {table_count}",
            }
            yield region
        yield token
        if token.type == "table_close":
            yield Token("region_close", "div", -1, block=True)
