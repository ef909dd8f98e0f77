"""User-written text: normal form, allowed characters, previews, initials, search keys, passwords."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.text import (
    MAX_PREVIEW_GRAPHEMES,
    MAX_SEARCH_KEY_CHARS,
    InvalidText,
    fold_for_search,
    initials,
    is_email,
    normalize_password,
    normalize_text,
    truncate_graphemes,
    user_search_key,
    validate_multiline_text,
    validate_single_line_text,
)

FAMILY, FLAG, ENGLAND = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
)
ACCENTED = "x\u0301\u0323"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a\r\nb", "a\nb"),
        ("a\rb\n\rc", "a\nb\n\nc"),
        ("e\u0301", "\u00e9"),
        ("\u212b", "\u00c5"),
        ("\ufb2c", "\u05e9\u05bc\u05c1"),
        ("\uff21", "\uff21"),
    ],
)
def test_text_is_stored_as_nfc_with_lf_line_ends(typed: str, stored: str) -> None:
    assert normalize_text(typed) == stored


@given(st.text())
def test_the_normal_form_is_its_own_normal_form(text: str) -> None:
    normalized = normalize_text(text)
    assert normalize_text(normalized) == normalized
    assert "\r" not in normalized
    assert unicodedata.is_normalized("NFC", normalized)


@pytest.mark.parametrize(
    "name",
    [
        "Ann",
        "Ångström",
        "O'Neil-Weiß Jr.",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Persian, a non-joiner between letters
        "\u0d36\u0d4d\u0d30\u0d40 \u0d05\u0d28\u0d3f\u0d32\u0d4d\u200d",  # after a virama
        "\u0995\u09cd\u200d\u09b7 \u09b0\u200d\u09cd\u09af",  # Bengali
        f"Ann {FAMILY}",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\u2764\ufe0f Ann",
        "1\ufe0f\u20e3",
        "\U0001f44d\U0001f3fd",
        ENGLAND,
        "\u845b\U000e0100\u57ce",  # Han with a variation selector
        "!",
        "a\u00a0b",
        "",
    ],
)
def test_single_line_text_accepts_the_characters_of_names(name: str) -> None:
    validate_single_line_text(name)


@pytest.mark.parametrize(
    "hidden",
    [
        *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))),
        *"\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
        *"\u00ad\u034f\u115f\u1160\u17b4\u180e\u200b\u2060\u2064\u206a\u3164\ufe0f\ufeff\uffa0",
        *"\ufff9\ufffb\ufffc\ue000\uf8ff\ufdd0\uffff\U000e0001\U000e0041\U000e0100\U000f0000",
        *"\U0001d173\U000e0fff\U0010ffff",
        "\u200d\u200d",
        "\ud800",
    ],
)
def test_single_line_text_refuses_invisible_characters(hidden: str) -> None:
    with pytest.raises(InvalidText, match=r"^Must not contain line breaks, control"):
        validate_single_line_text(f"An{hidden}n")


@pytest.mark.parametrize("name", ["Ann\u200d", "\u200cAnn", "A \u200d n", "\u200d", "\U0001f468\u200d"])
def test_a_joiner_stands_between_letters_or_emoji_only(name: str) -> None:
    with pytest.raises(InvalidText, match=r"^Must not contain"):
        validate_single_line_text(name)


@pytest.mark.parametrize("name", [" ", "\u00a0\u2003\u3000", "\u2800", "\u2800 \u2800", "\u0301"])
def test_single_line_text_needs_a_visible_character(name: str) -> None:
    with pytest.raises(InvalidText, match=r"^Must contain something visible$"):
        validate_single_line_text(name)


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "\u200eא\u200f", "", "\u200b", FAMILY])
def test_paragraphs_may_contain_line_ends_tabs_and_bidi_marks(text: str) -> None:
    validate_multiline_text(text)


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31m", "a\x0bb", "a\x85b", "\x7f", "\uffff", "\udc00"])
def test_paragraphs_have_no_other_control_character(text: str) -> None:
    with pytest.raises(InvalidText, match=r"^Must not contain control characters$"):
        validate_multiline_text(text)


@pytest.mark.parametrize("cluster", ["x", FAMILY, FLAG, ENGLAND, ACCENTED, "\u0915\u094d\u0937", "\r\n"])
def test_preview_ends_between_grapheme_clusters(cluster: str) -> None:
    assert truncate_graphemes(cluster * MAX_PREVIEW_GRAPHEMES) == cluster * MAX_PREVIEW_GRAPHEMES
    assert (
        truncate_graphemes(cluster * (MAX_PREVIEW_GRAPHEMES + 1))
        == cluster * (MAX_PREVIEW_GRAPHEMES - 1) + "…"
    )
    assert truncate_graphemes(cluster * 5, 3) == cluster * 2 + "…"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ada", "A"),
        ("ada (at) lovelace", "AL"),
        ("x\u0301yz abc", "X\u0301A"),
        ("\u0939\u093f\u0928", "\u0939\u093f"),
        (FAMILY, "?"),
        ("", "?"),
        ("ßa", "SS"),
    ],
)
def test_initials_are_whole_characters(name: str, letters: str) -> None:
    assert initials(name) == letters


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Ångström", "angstrom"),
        ("A\u030angstro\u0308m", "angstrom"),
        ("\u212bngstr\u00f6m", "angstrom"),
        ("Weiß", "weiss"),
        ("WEIẞ", "weiss"),
        ("İPEK", "ipek"),
        ("\u0131pek", "ipek"),
        ("Łódź Øre Đặng", "lodz ore dang"),
        ("Æsir Þór", "aesir thor"),
        ("ΣΊΣΥΦΟΣ", "\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c3"),
        ("Σίσυφος", "\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c3"),
        ("\uff21\uff4e\uff4e", "ann"),
        ("O\u2019Neil", "o'neil"),
        ("a\u00a0 b", "a b"),
        ("\u0643\u064a", "\u06a9\u06cc"),
        ("\u05d0\u05b8", "\u05d0"),
        ("\u304c", "\u304b\u3099"),
        ("\u00b4", ""),
    ],
)
def test_texts_that_look_the_same_fold_to_the_same(text: str, folded: str) -> None:
    assert fold_for_search(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold_for_search(fold_for_search(text)) == fold_for_search(text)


def test_a_search_key_has_blanks_at_both_ends_and_a_limit() -> None:
    assert user_search_key("ann_b", "Ånn Weiß") == " ann_b ann weiss "
    assert user_search_key("ann_b", None) == " ann_b "
    assert len(user_search_key("a" * 60, "\ufdfa" * 50)) == MAX_SEARCH_KEY_CHARS + 2


@pytest.mark.parametrize(
    ("typed", "normalized"),
    [
        ("Pa\u0308ssw0rd", "P\u00e4ssw0rd"),
        ("Pass\u00a0w0rd", "Pass w0rd"),
        ("Pass\u3000w0rd", "Pass w0rd"),
        ("PASSw0rd", "PASSw0rd"),
        ("\uff21bc", "\uff21bc"),
    ],
)
def test_a_password_is_the_same_however_it_was_typed(typed: str, normalized: str) -> None:
    assert normalize_password(typed) == normalized
    assert normalize_password(normalized) == normalized


@pytest.mark.parametrize("password", ["", "a\tb", "a\nb", "a\x00b", "a\u200bb", "a\ud800", "a\ue000"])
def test_a_password_of_disallowed_characters_is_refused_without_quoting_it(password: str) -> None:
    with pytest.raises(InvalidText, match=r"^Password contains a character") as error:
        normalize_password(password)
    assert error.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("ann@example.org", True),
        ("ann@example", False),
        ("ann @example.org", False),
        ("a@b@example.org", False),
        ("a" * 243 + "@example.org", False),
    ],
)
def test_email_address_is_recognized_by_its_form(text: str, is_valid: bool) -> None:
    assert is_email(text) is is_valid
