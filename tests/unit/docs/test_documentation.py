"""The documents agree with the code: links, commands, settings, tables, named functions."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
GENERATED = {"guarantees.md"}
MAX_README_WORDS = 900
MAX_GLOSSARY_ROWS = 25
MAX_LINE_LENGTH = 120
ADR_SECTIONS = [
    "Context",
    "Decision",
    "Consequences",
    "How we would notice that it was wrong",
]
_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)\s]+)\)")
_HOP = re.compile(r"^\| \d+ \| `([^`]+)` \| (?:`([^`]+)`)? *\|", re.MULTILINE)
_MAKE_COMMAND = re.compile(r"(?:`|^)(?:[A-Z_]+=\S+\s)*make ([a-z0-9-]+)", re.MULTILINE)
_SETTING_NAME = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?")


def _links() -> Iterator[tuple[Path, str, str]]:
    """Document, text and target of every link within the repository."""
    for document in DOCUMENTS:
        for text, target in _LINK.findall(document.read_text()):
            if not target.startswith(("http:", "https:", "#")):
                yield document, text, target


LINKS = [
    pytest.param(document, text, target, id=f"{document.name}:{target}")
    for document, text, target in dict.fromkeys(_links())
]
PATHS = {page.stem: _HOP.findall(page.read_text()) for page in sorted((ROOT / "docs").glob("path-of-*.md"))}
MAX_SHORT_PATH_HOPS = 12
ADRS = sorted((ROOT / "docs/adr").glob("*.md"))


@pytest.mark.parametrize(("document", "text", "target"), LINKS)
def test_link_resolves(document: Path, text: str, target: str) -> None:
    """The file and its heading exist; a function named in the link's text is defined there."""
    path, _, anchor = target.partition("#")
    linked = document.parent / path

    assert linked.exists()
    assert not anchor or anchor in _anchors(linked)
    named = re.fullmatch(r"`([^`/]+)`", text)
    if named and linked.suffix == ".py" and _DOTTED_NAME.fullmatch(named[1]):
        assert named[1] in _defined_names(linked)


@pytest.mark.parametrize(
    ("path", "function"),
    [
        pytest.param(*hop, id=":".join(hop))
        for hop in sorted({hop for hops in PATHS.values() for hop in hops})
    ],
)
def test_hop_of_a_path_exists(path: str, function: str) -> None:
    found = [ROOT / path] if "/" in path else list((ROOT / "app").rglob(path))

    assert [file for file in found if file.is_file()]
    assert not function or function in _defined_names(found[0])


def test_path_of_a_like_lists_every_worker_process() -> None:
    procfile = (ROOT / "Procfile").read_text()
    processes = re.findall(r"^(\w+):", procfile, re.MULTILINE)
    workers = [path for path, _ in PATHS["path-of-a-like"] if path.startswith("workers/")]

    assert ["web", *dict.fromkeys(Path(path).stem for path in workers)] == processes


@pytest.mark.parametrize("page", sorted(PATHS.keys() - {"path-of-a-like"}))
def test_other_paths_are_short(page: str) -> None:
    assert 0 < len(PATHS[page]) <= MAX_SHORT_PATH_HOPS


def test_documents_name_only_existing_make_targets() -> None:
    named = {name for document in DOCUMENTS for name in _MAKE_COMMAND.findall(document.read_text())}

    assert {"run", "test"} <= named
    assert named <= _make_targets()


def test_every_make_target_is_documented() -> None:
    commands = (ROOT / "docs/operations.md").read_text()
    public = {name for name in _make_targets() if not name.startswith("check-")}

    assert {name for name in public if f"`make {name}`" not in commands} == {"help"}


def test_python_modules_in_commands_exist() -> None:
    modules = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"python -m ((?:app|bench|drills|infra|workers)[\w.]*)", document.read_text())
    }
    paths = [ROOT / name.replace(".", "/") for name in modules]

    assert modules
    assert [
        path for path in paths if not path.with_suffix(".py").exists() and not (path / "__main__.py").exists()
    ] == []


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {name: default.strip("`") for name, default, _ in _rows(ROOT / "docs/settings.md")}

    assert documented == {name: _formatted(value) for name, value in _defaults().items()}


def test_every_table_is_documented() -> None:
    section = (ROOT / "docs/stores.md").read_text().partition("## PostgreSQL")[2]
    first_cells = [row[0] for row in _rows_of(section.partition("\n## ")[0])]
    source = _source_file("tables.py").read_text()

    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == set(
        re.findall(r'^\w+ = Table\(\s*"(\w+)"', source, re.MULTILINE)
    )


def test_every_consumer_group_and_topic_is_documented() -> None:
    name = re.compile(r"[a-z-]+-(?:notifications|consumer)(?=[`\"])")
    section = (ROOT / "docs/stores.md").read_text().partition("## Kafka")[2].partition("\n## ")[0]
    source = "".join(path.read_text() for path in (ROOT / "app/domain").glob("*.py"))

    assert set(name.findall(section)) == set(re.findall(rf'"({name.pattern})', source))


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in ADRS] == list(range(1, len(ADRS) + 1))


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.name[:4])
def test_decision_record_has_the_usual_sections(page: Path) -> None:
    text = page.read_text()

    assert text.startswith(f"# {page.name[:4]}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ADR_SECTIONS


def _rows(document: Path) -> list[tuple[str, ...]]:
    """Rows of a document's tables whose first cell is one piece of code, without the backticks."""
    rows = _rows_of(document.read_text())
    return [(row[0].strip("`"), *row[1:]) for row in rows if re.fullmatch(r"`[^`]+`", row[0])]


def _rows_of(text: str) -> list[tuple[str, ...]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines]


@cache
def _anchors(document: Path) -> set[str]:
    """GitHub's anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def _make_targets() -> set[str]:
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return {target for line in phony for target in line.split()}


def _source_file(name: str) -> Path:
    return next((ROOT / "app").rglob(name))


@cache
def _defined_names(path: Path) -> set[str]:
    """Functions and classes of a Python or JavaScript file, Class.method, routes of a blueprint function."""
    if path.suffix == ".js":
        return _names_in_javascript(path.read_text())
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            nested = [child.name for child in node.body if isinstance(child, ast.FunctionDef)]
            names.add(node.name)
            names |= {f"{node.name}.{name}" if isinstance(node, ast.ClassDef) else name for name in nested}
    return names


def _names_in_javascript(source: str) -> set[str]:
    names = set(re.findall(r"^(?:export )?(?:async )?function\*? (\w+)", source, re.MULTILINE))
    for name, body in re.findall(r"^(?:export )?class (\w+)[^{]*\{\n(.*?)^\}", source, re.M | re.S):
        methods = re.findall(r"^  (?:async |get |static )*(\w+)\(.*\{$", body, re.MULTILINE)
        names |= {name, *(f"{name}.{method}" for method in methods)}
    return names


def _defaults() -> dict[str, object]:
    """Name and default of each variable that the settings read; None: there is none."""
    sources = [(ROOT / "app" / name).read_text() for name in ("settings.py", "kafka_settings.py")]
    settings = ast.parse("\n".join(sources))
    found: dict[str, object] = {}
    for node in ast.walk(settings):
        if not isinstance(node, ast.Call):
            continue
        # env.str(NAME, default), or a helper called with (env or a reader, NAME, default, ...)
        is_direct = isinstance(node.func, ast.Attribute) and ast.unparse(node.func).startswith("env.")
        name, *rest = [*(node.args if is_direct else node.args[1:]), ast.Constant(None)]
        if not (isinstance(name, ast.Constant) and _SETTING_NAME.fullmatch(str(name.value))):
            continue
        # helpers with a third argument that is no default: the mode, or allowed schemes
        value = None if isinstance(rest[0], ast.Tuple) else _value(rest[0], settings)
        if value is not None or name.value not in found:
            found[str(name.value)] = value
    return found


def _value(node: ast.expr, settings: ast.Module) -> object:
    """A constant, or what a name is in production: `name = "x" if ... else "y"`."""
    if isinstance(node, ast.Constant):
        return node.value or None
    if not isinstance(node, ast.Name):
        return None
    for assignment in ast.walk(settings):
        if (
            isinstance(assignment, ast.Assign)
            and isinstance(assignment.value, ast.IfExp)
            and ast.unparse(assignment.targets[0]) == node.id
            and isinstance(assignment.value.body, ast.Constant)
        ):
            return assignment.value.body.value
    return None


def _formatted(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
