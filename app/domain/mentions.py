"""Finds the `@username` mentions of a text."""

from dataclasses import dataclass

import regex

MAX_MENTIONS = 20
"""Different users per text; further ones are neither notified nor linked."""

# Scripts without blanks between words: one of their letters next to a mention is not part of it. By script
# extensions (scx), which include the long vowel mark of katakana.
_UNSPACED_SCRIPTS = r"\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmr}"
_WORD_CHARS = r"\p{L}\p{N}\p{M}"
# U+FE0F (emoji style) and U+20E3 (keycap) are marks, but not parts of a word.
_MENTION_PATTERN = regex.compile(
    rf"""(?xV1)
    (?<! [_@.\-/] | [[{_WORD_CHARS}]--[{_UNSPACED_SCRIPTS}\p{{scx=Hang}}\uFE0F\u20E3]] )
    @ (?P<username>[A-Za-z0-9_]{{3,30}})
    (?! _ | [[{_WORD_CHARS}]--[{_UNSPACED_SCRIPTS}]] | @[\p{{L}}\p{{N}}] )
    """
)


@dataclass(frozen=True, slots=True)
class Mention:
    """One `@username` of a text: its position, and the username as stored (lower case)."""

    start: int
    end: int
    username: str


def find_mentions(text: str) -> list[Mention]:
    """In the order of the text. A user who is mentioned twice is in it twice."""
    mentions: list[Mention] = []
    usernames: set[str] = set()
    for match in _MENTION_PATTERN.finditer(text):
        username = match["username"].lower()
        if username not in usernames and len(usernames) == MAX_MENTIONS:
            continue
        usernames.add(username)
        mentions.append(Mention(match.start(), match.end(), username))
    return mentions


def mentioned_usernames(text: str) -> list[str]:
    """The usernames of a text, each once, at most MAX_MENTIONS."""
    return list(dict.fromkeys(mention.username for mention in find_mentions(text)))
