"""Repositories: where Java artefacts come from. The user's own settings decide; we name no host.

In    the configuration of jgo, mirrors in Maven's settings.xml, jgo's built-in default
Out   one MavenContext for infra/fetch.py and infra/lock.py
"""

import xml.etree.ElementTree as ET
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import default_maven_repo
from jgo.maven import MavenContext
from jgo.maven._core import DEFAULT_REMOTE_REPOS

CENTRAL_NAMES = {"central", "*", "external:*"}


def context(cache: Path) -> MavenContext:
    """What lies in the local Maven repository already is used, never written."""
    return MavenContext(
        repo_cache=cache,
        local_repos=[default_maven_repo()],
        remote_repos=remotes(Path.home() / ".m2" / "settings.xml"),
        timeout=60,
    )


def remotes(settings: Path) -> dict[str, str]:
    """A mirror of central replaces it, as in Maven; jgo itself does not read that file."""
    found = dict(GlobalSettings.load().repositories)
    return found | (mirrors(settings) or dict(DEFAULT_REMOTE_REPOS))


def mirrors(settings: Path) -> dict[str, str]:
    if not settings.is_file():
        return {}
    found = {}
    # The user's own file, not input from outside: the parser's known weaknesses do not matter.
    for mirror in ET.parse(settings).iter():  # noqa: S314
        if mirror.tag.rpartition("}")[2] != "mirror":
            continue
        fields = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in mirror}
        if CENTRAL_NAMES & set(fields.get("mirrorOf", "").split(",")) and fields.get("url"):
            found[fields.get("id", "mirror")] = fields["url"].rstrip("/")
    return found
