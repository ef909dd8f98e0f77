"""User-written text: normal form, allowed characters, previews, initials, search keys, passwords.

Sources: UAX 15 (NFC), UAX 29 (grapheme clusters), RFC 5892 appendix A (joiners), RFC 8265
(OpaqueString).
"""

import unicodedata
from itertools import islice

import precis_i18n
import regex

MAX_PREVIEW_GRAPHEMES = 100
"""Of a preview, in grapheme clusters."""
MAX_SEARCH_KEY_CHARS = 200
"""In code points. PostgreSQL's levenshtein() accepts at most 255."""


class InvalidText(ValueError):
    """The text contains something forbidden; the message is a sentence for the user."""


# A control character other than tab and line feed; half a surrogate pair; a noncharacter.
_FORBIDDEN_CHARS = regex.compile(r"(?V1)[[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]--[\t\n]]")
_INVISIBLE_CHARS = regex.compile(
    r"[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Bidi_Control}"
    r"\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFC]"
)
# Invisible characters that change how others look: joiners between letters or emoji and after a virama,
# variation selectors of emoji and Han characters, keycaps, flags of regions.
_ALLOWED_INVISIBLE_CHARS = regex.compile(
    r"""(?xV1)
    (?<=[[\p{L}\p{M}]--\p{DI}])[\u200C\u200D](?=[[\p{L}\p{M}]--\p{DI}])
    | (?<=\p{ccc=9})[\u200C\u200D]
    | (?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F])[\u200C\u200D]
      (?=\p{Extended_Pictographic})
    | (?<=\p{Extended_Pictographic})[\uFE0E\uFE0F]
    | (?<=[0-9\#*])\uFE0F(?=\u20E3)
    | (?<=\p{Han})[\uFE00-\uFE0F\U000E0100-\U000E01EF]
    | (?<=\U0001F3F4)[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F
    """
)
# A letter, number, punctuation mark or symbol; U+2800 and U+1D159 are symbols that look empty.
_VISIBLE_CHAR = regex.compile(r"(?V1)[[\p{L}\p{N}\p{P}\p{S}]--[\p{DI}\u2800\U0001D159]]")
_EMAIL_PATTERN = regex.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_GRAPHEME_CLUSTER = regex.compile(r"\X")
_IGNORABLE_CHARS = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}]")
_OPAQUE_STRING_PROFILE = precis_i18n.get_profile("OpaqueString")
# Letters that Unicode does not decompose, and characters that keyboards interchange: Arabic and Persian kaf
# and yeh, apostrophes, hyphens.
_LETTER_REPLACEMENTS = str.maketrans(
    "łøđðħŧŋ\u0131\u0643\u064a\u0649\u2018\u2019\u02bc\u2010",
    "loddhtni\u06a9\u06cc\u06cc'''-",
) | str.maketrans({"æ": "ae", "œ": "oe", "þ": "th"})


def normalize_text(text: str) -> str:
    """NFC with LF line ends, the form in which every text is counted, compared and stored."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def validate_multiline_text(text: str) -> None:
    """Raises InvalidText for control characters other than tab and line feed."""
    if _FORBIDDEN_CHARS.search(text):
        raise InvalidText("Must not contain control characters")


def validate_single_line_text(text: str) -> None:
    """For names, titles and other text of one line. Raises InvalidText for line breaks, control,
    bidi-control, private-use and other invisible characters, and for a text without visible characters. An
    empty text is valid: the caller checks whether one is required.
    """
    if _INVISIBLE_CHARS.search(_ALLOWED_INVISIBLE_CHARS.sub("", text)):
        raise InvalidText("Must not contain line breaks, control characters or other invisible characters")
    if text and not _VISIBLE_CHAR.search(text):
        raise InvalidText("Must contain something visible")


def is_email(text: str) -> bool:
    """Whether it has the form of an e-mail address."""
    return len(text) <= 254 and bool(_EMAIL_PATTERN.fullmatch(text))


def truncate_graphemes(text: str, max_graphemes: int = MAX_PREVIEW_GRAPHEMES) -> str:
    """The text, or its beginning with an ellipsis, of at most `max_graphemes` grapheme clusters."""
    clusters = [match[0] for match in islice(_GRAPHEME_CLUSTER.finditer(text), max_graphemes + 1)]
    if len(clusters) <= max_graphemes:
        return text
    return "".join(clusters[: max_graphemes - 1]) + "…"


def initials(display_name: str) -> str:
    """The first grapheme clusters of the first two words, in upper case."""
    words = [word for word in display_name.split() if _LETTER_OR_DIGIT.match(word)]
    return "".join(_GRAPHEME_CLUSTER.match(word)[0] for word in words[:2]).upper() or "?"


def fold_for_search(text: str) -> str:
    """For comparison in searches: without case, accents and compatibility differences. ß is ss; all Turkish
    variants of i are i."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    without_accents = "".join(char for char in decomposed if not _is_accent(char))
    return " ".join(_IGNORABLE_CHARS.sub("", without_accents).translate(_LETTER_REPLACEMENTS).split())


def _is_accent(char: str) -> bool:
    """Accents, and vowel points of Hebrew, Arabic and Syriac. Marks that make another letter (Japanese voiced
    sounds, Indic and Thai signs) have other combining classes."""
    combining_class = unicodedata.combining(char)
    return combining_class >= 200 or 10 <= combining_class <= 36


def user_search_key(username: str, display_name: str | None) -> str:
    """The value of users.search_key. With blanks at both ends: ` word` finds words that begin so, ` word `
    whole words."""
    folded = fold_for_search(username if display_name is None else f"{username} {display_name}")
    return f" {folded[:MAX_SEARCH_KEY_CHARS]} "


def normalize_password(password: str) -> str:
    """The password in one form, however it was typed (RFC 8265, OpaqueString). Raises InvalidText."""
    try:
        return _OPAQUE_STRING_PROFILE.enforce(password)
    except UnicodeEncodeError:
        # Not chained: the message of the original error quotes the password.
        raise InvalidText(
            "Password contains a character that cannot be used, such as a control or invisible one"
        ) from None
