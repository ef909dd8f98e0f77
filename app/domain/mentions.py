"""Mentions: which `@username`s of a text mean a user (contract 6.41)."""

from dataclasses import dataclass

import regex

MAX_MENTIONS = 20
"""Different users per text; whoever is named after them is neither notified nor linked."""

# Scripts without blanks between words: a letter of theirs beside a name ends no word. By script
# extensions, which count the long vowel mark of katakana as kana.
_UNSPACED = r"\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmr}"
_WORD = r"\p{L}\p{N}\p{M}"
# The style of an emoji (U+FE0F) and a keycap (U+20E3) are marks, but not of a word.
_MENTION = regex.compile(
    rf"""(?xV1)
    (?<! [_@.\-/] | [[{_WORD}]--[{_UNSPACED}\p{{scx=Hang}}\uFE0F\u20E3]] )
    @ (?P<username>[A-Za-z0-9_]{{3,30}})
    (?! _ | [[{_WORD}]--[{_UNSPACED}]] | @[\p{{L}}\p{{N}}] )
    """
)


@dataclass(frozen=True, slots=True)
class Mention:
    """One `@username` of a text: its place, and the username as stored (lower case)."""

    start: int
    end: int
    username: str


def find_mentions(text: str) -> list[Mention]:
    """In order of the text. A user who is named twice is there twice."""
    found: list[Mention] = []
    usernames: set[str] = set()
    for match in _MENTION.finditer(text):
        username = match["username"].lower()
        if username not in usernames and len(usernames) == MAX_MENTIONS:
            continue
        usernames.add(username)
        found.append(Mention(match.start(), match.end(), username))
    return found


def mentioned(text: str) -> list[str]:
    """The usernames of a text, each once, at most MAX_MENTIONS."""
    return list(dict.fromkeys(one.username for one in find_mentions(text)))
