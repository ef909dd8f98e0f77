"""A deliberate bug: an edit of the source, and the test or drill that must detect it."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceEdit:
    path_pattern: str
    """A glob. The pattern must match exactly once in these files together."""
    pattern: str
    """A regular expression; ^ matches at each line, . also matches a line break."""
    replacement: str

    def apply(self, source_root: Path) -> Path:
        """Changes the file and returns its path. Raises RuntimeError unless there is one match."""
        regex = re.compile(self.pattern, re.MULTILINE | re.DOTALL)
        match_counts = {
            path: len(regex.findall(path.read_text())) for path in sorted(source_root.glob(self.path_pattern))
        }
        matching_paths = [path for path, count in match_counts.items() if count]
        if len(matching_paths) != 1 or match_counts[matching_paths[0]] != 1:
            raise RuntimeError(f"{self.path_pattern}: {len(matching_paths)} files match; update the bug")
        [path] = matching_paths
        path.write_text(regex.sub(self.replacement, path.read_text()))
        return path


@dataclass(frozen=True)
class Mutation:
    name: str
    description: str
    detected_by: tuple[str, ...]
    """Test files, or the name of a drill."""
    edit: SourceEdit


def replace_text(
    name: str, description: str, detected_by: str, path_pattern: str, old_text: str, new_text: str
) -> Mutation:
    """A bug that replaces this text."""
    edit = SourceEdit(path_pattern, re.escape(old_text), new_text.replace("\\", r"\\"))
    return Mutation(name, description, tuple(detected_by.split()), edit)


def substitute(
    name: str, description: str, detected_by: str, path_pattern: str, pattern: str, replacement: str
) -> Mutation:
    """A bug in terms of re.sub, for passages whose local names do not matter."""
    return Mutation(
        name, description, tuple(detected_by.split()), SourceEdit(path_pattern, pattern, replacement)
    )
