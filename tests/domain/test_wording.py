"""Words: what a person reads."""

import pytest

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.text import MAX_PREVIEW
from app.domain.wording import isolated, line, notice, single, title

GROUPED = [kind for kind in Kind if kind not in CRITICAL_KINDS | {Kind.MARKETING, Kind.DIGEST}]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        pytest.param(0, "Hana liked your post", id="one"),
        pytest.param(1, "Hana and 1 other liked your post", id="two"),
        pytest.param(2, "Hana and 2 others liked your post", id="three"),
        pytest.param(1_234_566, "Hana and 1,234,566 others liked your post", id="many"),
    ],
)
def test_a_line_counts_the_others(others: int, words: str) -> None:
    assert line(Kind.LIKE, "Hana", others) == words


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.LIKE, "Hana and 2 others liked your post"),
        (Kind.COMMENT, "Hana and 2 others commented on your post"),
        (Kind.COMMENT_REPLY, "Hana and 2 others replied to your comment"),
        (Kind.FOLLOW, "Hana and 2 others started following you"),
        (Kind.POST_SHARE, "Hana and 2 others shared your post"),
        (Kind.STORY_VIEW, "Hana and 2 others viewed your story"),
        (Kind.BELL_POST, "Hana and 2 others posted something new"),
        (Kind.MENTION, "Hana and 2 others mentioned you"),
    ],
)
def test_each_kind_has_its_line(kind: Kind, words: str) -> None:
    assert line(kind, "Hana", 2) == words


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        pytest.param(Kind.COMMENT, "So true", 'Hana commented: "So true"', id="a comment"),
        pytest.param(Kind.COMMENT_REPLY, "No", 'Hana replied: "No"', id="a reply"),
        pytest.param(Kind.MENTION, "hi @ann", 'Hana mentioned you: "hi @ann"', id="a mention"),
        pytest.param(Kind.BELL_POST, "Spring", "Hana posted: Spring", id="a new post"),
        pytest.param(Kind.BELL_POST, None, "Hana posted something new", id="a picture"),
        pytest.param(Kind.COMMENT, "", "Hana commented on your post", id="an empty comment"),
        pytest.param(Kind.LIKE, "ignored", "Hana liked your post", id="a like has no text"),
        pytest.param(Kind.FOLLOW, None, "Hana started following you", id="a follow"),
    ],
)
def test_a_single_doing_carries_its_own_text(kind: Kind, text: str | None, words: str) -> None:
    assert single(kind, "Hana", text) == words


@pytest.mark.parametrize("cluster", ["x", "\U0001f1e9\U0001f1ea", "x\u0301"])
def test_a_long_comment_is_cut_between_characters(cluster: str) -> None:
    whole, cut = cluster * MAX_PREVIEW, cluster * (MAX_PREVIEW - 1) + "…"
    assert single(Kind.COMMENT, "Hana", whole) == f'Hana commented: "{whole}"'
    assert single(Kind.COMMENT, "Hana", whole + cluster) == f'Hana commented: "{cut}"'


@pytest.mark.parametrize(
    "name", ["<b>Hana</b>", "O'Neil & co", "{0}", "%s", "名前", "Ann 🎉", "Zoë-3"]
)
def test_a_name_is_plain_text(name: str) -> None:
    assert line(Kind.LIKE, name, 0) == f"{name} liked your post"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("עומר", id="Hebrew"),
        pytest.param("عمر", id="Arabic"),
        pytest.param("Omar عمر", id="both directions"),
        pytest.param("Ann ٣", id="Arabic digits"),
    ],
)
def test_a_right_to_left_name_is_isolated_in_a_sentence(name: str) -> None:
    assert line(Kind.LIKE, name, 3) == f"\u2068{name}\u2069 and 3 others liked your post"
    assert single(Kind.COMMENT, name, "Hi") == f'\u2068{name}\u2069 commented: "Hi"'


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        pytest.param("\u202eAnn", "Ann", id="an override"),
        pytest.param("Ann\u2069\u202e", "Ann", id="the end of an isolate"),
        pytest.param("\u202eعمر", "\u2068عمر\u2069", id="an override before Arabic"),
        pytest.param("Ann\r\nBcc: x", "Ann Bcc: x", id="a line break"),
        pytest.param("A\u2028B\x00", "A B", id="a line separator and a NUL"),
        pytest.param("👩\u200d👧", "👩\u200d👧", id="a joiner in an emoji stays"),
    ],
)
def test_controls_in_a_name_do_not_reach_the_sentence(name: str, plain: str) -> None:
    assert isolated(name) == plain


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        pytest.param(Kind.COMMENT, "שלום!", 'Ann commented: \u2068"שלום!"\u2069', id="Hebrew"),
        pytest.param(
            Kind.MENTION, "\u202ex", 'Ann mentioned you: \u2068"\u202ex"\u2069', id="turned"
        ),
        pytest.param(Kind.BELL_POST, "ערב", "Ann posted: \u2068ערב\u2069", id="a post"),
    ],
)
def test_a_quotation_cannot_turn_the_words_around_it(kind: Kind, text: str, words: str) -> None:
    assert single(kind, "Ann", text) == words


@pytest.mark.parametrize(
    ("kind", "count", "words"),
    [
        pytest.param(Kind.LIKE, 1, "New Like", id="one"),
        pytest.param(Kind.LIKE, 2, "2 new likes", id="two"),
        pytest.param(Kind.COMMENT_REPLY, 3, "3 new replies", id="an odd plural"),
        pytest.param(Kind.LIKE, 12_000, "12,000 new likes", id="many"),
        pytest.param(Kind.OTP, 1, "Your log-in code", id="a notice has its own"),
    ],
)
def test_titles(kind: Kind, count: int, words: str) -> None:
    assert title(kind, count) == words


@pytest.mark.parametrize("kind", GROUPED)
def test_every_kind_that_gathers_actors_has_words(kind: Kind) -> None:
    """POST_UPDATED too: another server may send one, and a missing word would stop the lane."""
    assert title(kind, 1)
    assert line(kind, "Hana", 1)


@pytest.mark.parametrize("kind", [*CRITICAL_KINDS, Kind.MARKETING, Kind.DIGEST])
def test_every_notice_has_words_of_its_own(kind: Kind) -> None:
    assert title(kind, 1)
    assert notice(kind)
