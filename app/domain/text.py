"""Text that people write: its normal form, what one line may contain, previews, search keys.

Sources: UAX 15 (NFC), UAX 29 (grapheme clusters), RFC 5892 appendix A (joiners), RFC 8265
(OpaqueString).
"""

import unicodedata
from itertools import islice

import precis_i18n
import regex

MAX_PREVIEW = 100
"""Grapheme clusters."""
MAX_SEARCH_KEY = 200
"""Code points. PostgreSQL's levenshtein() refuses words of more than 255."""


class TextError(ValueError):
    """The text contains what it may not; the message is a sentence for the person."""


# A control character other than tab and line feed; half a surrogate pair; a noncharacter.
_BROKEN = regex.compile(r"(?V1)[[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]--[\t\n]]")
_HIDDEN = regex.compile(
    r"[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Bidi_Control}"
    r"\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFC]"
)
# Hidden characters that change how their neighbours look: joiners between letters or emoji and
# after a virama, the style of an emoji or Han character, keycaps, flags of regions.
_NEEDED = regex.compile(
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
# A letter, number, punctuation mark or symbol; U+2800 and U+1D159 are symbols that show nothing.
_VISIBLE = regex.compile(r"(?V1)[[\p{L}\p{N}\p{P}\p{S}]--[\p{DI}\u2800\U0001D159]]")
_EMAIL = regex.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_CLUSTER = regex.compile(r"\X")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_LETTER_FIRST = regex.compile(r"[\p{L}\p{N}]")
_PASSWORDS = precis_i18n.get_profile("OpaqueString")
# Letters that Unicode does not decompose, and signs that keyboards and phones interchange: Arabic
# and Persian kaf and yeh, apostrophes, hyphens.
_SPELLINGS = str.maketrans(
    "łøđðħŧŋ\u0131\u0643\u064a\u0649\u2018\u2019\u02bc\u2010",
    "loddhtni\u06a9\u06cc\u06cc'''-",
) | str.maketrans({"æ": "ae", "œ": "oe", "þ": "th"})


def normalize(text: str) -> str:
    """NFC, with LF line ends: the form in which every text is counted, compared and stored."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def check_paragraphs(text: str) -> None:
    """Raises TextError for control characters other than tab and line feed."""
    if _BROKEN.search(text):
        raise TextError("Must not contain control characters")


def check_line(text: str) -> None:
    """For a name, title or other text of one line. Raises TextError for line breaks, control,
    bidi-control, private-use and other invisible characters, and when nothing is visible. An
    empty text passes: whether it is needed is for the caller to say.
    """
    if _HIDDEN.search(_NEEDED.sub("", text)):
        raise TextError(
            "Must not contain line breaks, control characters or other invisible characters"
        )
    if text and not _VISIBLE.search(text):
        raise TextError("Must contain something visible")


def is_email(text: str) -> bool:
    """Whether it looks like an e-mail address; only mail can tell whether it is one."""
    return len(text) <= 254 and bool(_EMAIL.fullmatch(text))


def truncate(text: str, max_graphemes: int = MAX_PREVIEW) -> str:
    """A preview: the text, or its beginning with an ellipsis, of at most so many clusters."""
    clusters = [found[0] for found in islice(_CLUSTER.finditer(text), max_graphemes + 1)]
    if len(clusters) <= max_graphemes:
        return text
    return "".join(clusters[: max_graphemes - 1]) + "…"


def initials(name: str) -> str:
    """The first characters, as a reader sees them, of the first two words."""
    words = [word for word in name.split() if _LETTER_FIRST.match(word)]
    return "".join(_CLUSTER.match(word)[0] for word in words[:2]).upper() or "?"


def fold(text: str) -> str:
    """For comparison in searches: without case, accents and differences of compatibility.
    ß is ss, and the letters of all Turkish i's are i."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(letter for letter in plain if not _is_accent(letter))
    return " ".join(_IGNORABLE.sub("", bare).translate(_SPELLINGS).split())


def _is_accent(letter: str) -> bool:
    """Accents, and the vowel points of Hebrew, Arabic and Syriac. Marks that make another
    letter (the Japanese voiced sound, Indic and Thai signs) have other combining classes."""
    combining = unicodedata.combining(letter)
    return combining >= 200 or 10 <= combining <= 36


def search_key(username: str, name: str | None) -> str:
    """What users.search_key holds. Blanks at both ends: ` word` finds the beginning of any word,
    ` name ` the whole of one."""
    words = fold(username if name is None else f"{username} {name}")
    return f" {words[:MAX_SEARCH_KEY]} "


def opaque_password(password: str) -> str:
    """The same password in one form however it was typed (RFC 8265, OpaqueString). Raises
    TextError."""
    try:
        return _PASSWORDS.enforce(password)
    except UnicodeEncodeError:
        # Not chained: the original message quotes the password.
        raise TextError(
            "Password contains a character that cannot be used, such as a control or invisible one"
        ) from None
