"""The Maven repositories: of jgo's configuration and of mirrors in settings.xml, else jgo's default."""

import xml.etree.ElementTree as ET
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import default_maven_repo
from jgo.maven import MavenContext
from jgo.maven._core import DEFAULT_REMOTE_REPOS

CENTRAL_MIRROR_TARGETS = {"central", "*", "external:*"}


def build_maven_context(cache_dir: Path) -> MavenContext:
    """Reads the local Maven repository, but does not write to it."""
    return MavenContext(
        repo_cache=cache_dir,
        local_repos=[default_maven_repo()],
        remote_repos=remote_repositories(Path.home() / ".m2" / "settings.xml"),
        timeout=60,
    )


def remote_repositories(settings_xml: Path) -> dict[str, str]:
    """A mirror of central replaces it, as in Maven; jgo does not read settings.xml."""
    configured = dict(GlobalSettings.load().repositories)
    return configured | (central_mirrors(settings_xml) or dict(DEFAULT_REMOTE_REPOS))


def central_mirrors(settings_xml: Path) -> dict[str, str]:
    if not settings_xml.is_file():
        return {}
    url_by_id = {}
    # The user's own file is trusted, so the parser's known weaknesses do not matter.
    for mirror in ET.parse(settings_xml).iter():  # noqa: S314
        if mirror.tag.rpartition("}")[2] != "mirror":
            continue
        fields = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in mirror}
        if CENTRAL_MIRROR_TARGETS & set(fields.get("mirrorOf", "").split(",")) and fields.get("url"):
            url_by_id[fields.get("id", "mirror")] = fields["url"].rstrip("/")
    return url_by_id
