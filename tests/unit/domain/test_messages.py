"""The texts and titles of notifications."""

import pytest

from app.domain.events import CRITICAL_KINDS, Kind
from app.domain.messages import (
    actorless_notification_text,
    default_notification_title,
    group_notification_text,
    isolate_name_direction,
    single_actor_notification_text,
    split_first_sentence,
)
from app.domain.text import MAX_PREVIEW_GRAPHEMES

GROUPED_KINDS = [kind for kind in Kind if kind not in CRITICAL_KINDS | {Kind.MARKETING, Kind.DIGEST}]


@pytest.mark.parametrize(
    ("other_count", "text"),
    [
        pytest.param(0, "Hana liked your post", id="one"),
        pytest.param(1, "Hana and 1 other liked your post", id="two"),
        pytest.param(2, "Hana and 2 others liked your post", id="three"),
        pytest.param(1_234_566, "Hana and 1,234,566 others liked your post", id="many"),
    ],
)
def test_group_text_counts_the_other_actors(other_count: int, text: str) -> None:
    assert group_notification_text(Kind.LIKE, "Hana", other_count) == text


@pytest.mark.parametrize(
    ("kind", "text"),
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
def test_each_kind_has_a_group_text(kind: Kind, text: str) -> None:
    assert group_notification_text(kind, "Hana", 2) == text


@pytest.mark.parametrize(
    ("kind", "content", "text"),
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
def test_single_text_contains_the_content(kind: Kind, content: str | None, text: str) -> None:
    assert single_actor_notification_text(kind, "Hana", content) == text


@pytest.mark.parametrize("cluster", ["x", "\U0001f1e9\U0001f1ea", "x\u0301"])
def test_long_comment_is_truncated_between_characters(cluster: str) -> None:
    full_text, truncated = cluster * MAX_PREVIEW_GRAPHEMES, cluster * (MAX_PREVIEW_GRAPHEMES - 1) + "…"
    assert single_actor_notification_text(Kind.COMMENT, "Hana", full_text) == f'Hana commented: "{full_text}"'
    assert (
        single_actor_notification_text(Kind.COMMENT, "Hana", full_text + cluster)
        == f'Hana commented: "{truncated}"'
    )


@pytest.mark.parametrize("name", ["<b>Hana</b>", "O'Neil & co", "{0}", "%s", "名前", "Ann 🎉", "Zoë-3"])
def test_name_is_plain_text(name: str) -> None:
    assert group_notification_text(Kind.LIKE, name, 0) == f"{name} liked your post"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("עומר", id="Hebrew"),
        pytest.param("عمر", id="Arabic"),
        pytest.param("Omar عمر", id="both directions"),
        pytest.param("Ann ٣", id="Arabic digits"),
    ],
)
def test_right_to_left_name_is_isolated(name: str) -> None:
    assert group_notification_text(Kind.LIKE, name, 3) == f"\u2068{name}\u2069 and 3 others liked your post"
    assert single_actor_notification_text(Kind.COMMENT, name, "Hi") == f'\u2068{name}\u2069 commented: "Hi"'


@pytest.mark.parametrize(
    ("name", "isolated"),
    [
        pytest.param("\u202eAnn", "Ann", id="an override"),
        pytest.param("Ann\u2069\u202e", "Ann", id="the end of an isolate"),
        pytest.param("\u202eعمر", "\u2068عمر\u2069", id="an override before Arabic"),
        pytest.param("Ann\r\nBcc: x", "Ann Bcc: x", id="a line break"),
        pytest.param("A\u2028B\x00", "A B", id="a line separator and a NUL"),
        pytest.param("👩\u200d👧", "👩\u200d👧", id="a joiner in an emoji stays"),
    ],
)
def test_control_characters_in_a_name_are_removed(name: str, isolated: str) -> None:
    assert isolate_name_direction(name) == isolated


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        pytest.param(Kind.COMMENT, "שלום!", 'Ann commented: \u2068"שלום!"\u2069', id="Hebrew"),
        pytest.param(
            Kind.MENTION, "\u202ex", 'Ann mentioned you: \u2068"\u202ex"\u2069', id="a direction override"
        ),
        pytest.param(Kind.BELL_POST, "ערב", "Ann posted: \u2068ערב\u2069", id="a post"),
    ],
)
def test_quote_cannot_change_the_direction_of_the_text(kind: Kind, content: str, text: str) -> None:
    assert single_actor_notification_text(kind, "Ann", content) == text


@pytest.mark.parametrize(
    ("kind", "actor_count", "title"),
    [
        pytest.param(Kind.LIKE, 1, "New Like", id="one"),
        pytest.param(Kind.LIKE, 2, "2 new likes", id="two"),
        pytest.param(Kind.COMMENT_REPLY, 3, "3 new replies", id="an irregular plural"),
        pytest.param(Kind.LIKE, 12_000, "12,000 new likes", id="many"),
        pytest.param(Kind.OTP, 1, "Your log-in code", id="a kind with its own title"),
    ],
)
def test_default_title_counts_the_actors(kind: Kind, actor_count: int, title: str) -> None:
    assert default_notification_title(kind, actor_count) == title


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        pytest.param(
            "New log-in: Chrome on Linux, near 127.0.0.0/24. If this was not you, change your password.",
            (
                "New log-in: Chrome on Linux, near 127.0.0.0/24",
                "If this was not you, change your password.",
            ),
            id="two sentences",
        ),
        pytest.param("What you missed.", ("What you missed", None), id="one sentence"),
        pytest.param("Version 2.0 is here", ("Version 2.0 is here", None), id="a dot inside"),
        pytest.param("", ("", None), id="no text"),
    ],
)
def test_standalone_text_has_its_first_sentence_as_first_line(
    message: str, lines: tuple[str, str | None]
) -> None:
    assert split_first_sentence(message) == lines


@pytest.mark.parametrize("kind", GROUPED_KINDS)
def test_grouped_kinds_have_a_text(kind: Kind) -> None:
    """POST_UPDATED too: another server may send one, and a missing text would stop the consumer."""
    assert default_notification_title(kind, 1)
    assert group_notification_text(kind, "Hana", 1)


@pytest.mark.parametrize("kind", [*sorted(CRITICAL_KINDS), Kind.MARKETING, Kind.DIGEST])
def test_standalone_kinds_have_a_text(kind: Kind) -> None:
    assert default_notification_title(kind, 1)
    assert actorless_notification_text(kind)
