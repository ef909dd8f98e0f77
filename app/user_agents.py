"""Which browser and system a request names: enough to know a device again, and to speak of it.

In    app/stores/sessions.py (Place), app/accounts.py (log-in alerts)
Out   families by ua-parser's rules (package ua-parser-builtins); never the text of the header

Parsing is pure Python: about 1 ms for a browser, up to 30 ms for a text that no rule knows, 0.3 s
for the first one of a process, which compiles the rules (`prepare`). The text is cut, and answers
are kept, so that a flood of odd headers costs each of its senders more than us.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from ua_parser import Domain
from ua_parser.basic import Resolver
from ua_parser.loaders import load_lazy_builtins

MAX_LENGTH = 256
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,29}")
_resolver = Resolver(load_lazy_builtins())


@dataclass(frozen=True, slots=True)
class UserAgent:
    """Families without versions. An unknown program is told from others by its first word, which is
    never shown; "": there was no header."""

    browser: str
    system: str
    is_known: bool = True

    def __str__(self) -> str:
        """For a sentence: "Chrome on Linux"."""
        browser = self.browser if self.is_known else "an unknown browser"
        return f"{browser} on {self.system or 'an unknown system'}"


def user_agent_of(header: str) -> UserAgent:
    return _parsed(header[:MAX_LENGTH].strip())


@lru_cache(2_000)
def _parsed(text: str) -> UserAgent:
    found = _resolver(text, Domain.USER_AGENT | Domain.OS)
    system = found.os.family if found.os else ""
    if found.user_agent:
        return UserAgent(found.user_agent.family, system)
    product = _PRODUCT.match(text)
    return UserAgent(product[0] if product else text and "?", system, False)


def prepare() -> None:
    """Compiles all rules before anybody waits for them."""
    _parsed("no rule knows this")
