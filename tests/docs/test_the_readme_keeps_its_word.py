"""The README keeps its word: what it links, names, lists and quotes is there, and none is left out.

Words are compared with the source as text, not with what an import of it happens to give.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/glossary.md"]
DOCUMENTS += sorted(str(one.relative_to(ROOT)) for one in (ROOT / "docs/adr").glob("*.md"))
MAKEFILE = (ROOT / "Makefile").read_text()
SETTINGS = ast.parse((ROOT / "app/settings.py").read_text())
FORBIDDEN = ("Manager", "Helper", "Util", "Utils", "Handler", "Processor", "Service")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)\s]+)\)")
_STOP = re.compile(r"^(\d+)\. \*\*(.+)$", re.MULTILINE)
VARIABLE = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
NO_DEFAULT = ("_address", "_secret")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?")


def _links() -> Iterator[tuple[str, str, str]]:
    """(document, text, target) of every link within the repository."""
    for document in DOCUMENTS:
        for text, target in _LINK.findall((ROOT / document).read_text()):
            if not target.startswith(("http:", "https:", "#")):
                yield document, text, target.partition("#")[0]


LINKS = list(_links())
NAMED = [
    pytest.param((ROOT / document).parent / target, name, id=f"{document}:{name}")
    for document, text, target in LINKS
    for name in re.findall(r"`([^`]+)`", text)
    if _NAME.fullmatch(name) and not name.endswith((".py", ".lua", ".js"))
]


@pytest.mark.parametrize(("document", "text", "target"), LINKS)
def test_every_linked_file_is_there(document: str, text: str, target: str) -> None:
    assert ((ROOT / document).parent / target).exists()


@pytest.mark.parametrize(("document", "text", "target"), LINKS)
def test_a_path_in_the_text_of_a_link_is_the_path_it_leads_to(
    document: str, text: str, target: str
) -> None:
    paths = [word for word in re.findall(r"`([^`]+)`", text) if word.endswith((".py", ".js"))]

    assert all(target.endswith(path) for path in paths)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_named_function_is_in_the_file_it_leads_to(path: Path, name: str) -> None:
    assert name in _names(path)


def test_the_path_of_a_like_has_nine_stops_in_order() -> None:
    assert [int(number) for number, _ in _stops()] == list(range(1, 10))


@pytest.mark.parametrize("number", range(1, 10))
def test_a_stop_leads_to_code_that_says_it_is_that_stop(number: int) -> None:
    line = dict(_stops())[str(number)]
    sources = [(ROOT / target).read_text() for _, target in _LINK.findall(line)]

    assert any(re.search(rf"STOP {number}\b", source) for source in sources)


def test_the_procfile_starts_processes_in_the_order_of_the_stops() -> None:
    processes = re.findall(r"^(\w+):", (ROOT / "Procfile").read_text(), re.MULTILINE)
    text = "".join(line for _, line in _stops())
    visited = list(dict.fromkeys(re.findall(r"\(workers/(\w+)\.py\)", text)))

    assert processes == ["web", *visited]


def test_every_make_command_is_in_the_makefile() -> None:
    words = "".join((ROOT / document).read_text() for document in DOCUMENTS)
    named = set(re.findall(r"(?:`|^)(?:[A-Z_]+=\S+ )*make ([a-z0-9-]+)", words, re.MULTILINE))

    assert {"run", "test", "diagnose"} <= named
    assert named <= set(_targets())


def test_every_make_command_is_in_the_readme() -> None:
    """Except the parts of `make check`, and `help`, which is `make` alone."""
    listed = {command.removeprefix("make ") for command, _ in _rows("Commands")}

    assert {one for one in _targets() if not one.startswith("check-")} - listed == {"help"}


def test_a_command_without_its_code_is_marked_as_not_yet_there() -> None:
    rows = [row for row in _rows("Commands") if row[0].startswith(("make ", "python -m "))]

    marked = {command for command, meaning in rows if meaning.endswith("not yet")}

    assert marked == {command for command, _ in rows if not _has_code(command)}


def test_the_settings_table_lists_what_is_read_and_nothing_else() -> None:
    assert {name for name, *_ in _rows("Settings")} == set(_defaults())


def test_each_setting_has_the_default_that_the_readme_says() -> None:
    told = {name: default.strip("`") for name, default, _ in _rows("Settings")}

    assert told == {name: _shown(value) for name, value in _defaults().items()}


def test_the_rules_quote_the_defaults_of_their_settings() -> None:
    section, defaults = _section("Rules of aggregation"), _defaults()

    for name, value in re.findall(r"`([A-Z_]+)` \((\d+)\)", section):
        assert _shown(defaults[name]) == value


def test_the_tables_that_are_described_are_those_that_exist() -> None:
    section = _section("Where what is kept").partition("**Kafka**")[0]
    first_cells = "".join(row.split("|")[1] for row in section.splitlines() if "|" in row)
    source = (ROOT / "app/stores/tables.py").read_text()

    assert set(re.findall(r"`(\w+)`", first_cells)) == set(
        re.findall(r'^\w+ = Table\(\s*"(\w+)"', source, re.MULTILINE)
    )


def test_topics_and_groups_are_those_of_the_code() -> None:
    section = _section("Where what is kept").partition("**Kafka**")[2].partition("**Redis**")[0]
    named = set(re.findall(r"`([a-z-]+-(?:notifications|consumer))`", section))
    source = (ROOT / "app/domain/routing.py").read_text()
    source += (ROOT / "app/domain/loops.py").read_text()

    assert named == set(re.findall(r'"([a-z-]+-(?:notifications|consumer))"', source))


def test_decisions_are_numbered_without_gaps_and_say_how_they_could_be_wrong() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert text.startswith(f"# {page.name[:4]}. ")
        assert heads == [
            "Context",
            "Decision",
            "Consequences",
            "We would notice that it was wrong",
        ]


def test_no_class_has_a_name_that_says_nothing() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for folder in ("app", "workers", "blueprints")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.endswith(FORBIDDEN)
    ]

    assert named == []


def test_the_glossary_names_what_the_test_forbids() -> None:
    sentence = (ROOT / "docs/glossary.md").read_text().partition("No class is called")[2]

    assert all(word in sentence.partition("\n")[0] for word in FORBIDDEN if word != "Utils")


def test_the_words_of_the_glossary_are_in_the_code() -> None:
    sources = "".join(
        path.read_text()
        for folder in ("app", "workers", "drills")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".lua")
    ) + " ".join(path.name for path in (ROOT / "app/stores/scripts").iterdir())
    rows = re.findall(r"^\| \*\*.+$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    places = [word for row in rows for word in re.findall(r"`([\w.:]+)", row.split("|")[3])]

    assert len(places) > 50
    assert [one for one in places if one.rpartition(".")[2] not in sources
            and one.rstrip(":*") not in sources and one not in sources] == []  # fmt: skip


def _stops() -> list[tuple[str, str]]:
    return _STOP.findall(_section("The path of a like"))


def _section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _rows(title: str) -> list[tuple[str, ...]]:
    """The rows of a section's table whose first cell is one piece of code."""
    cells = [
        tuple(cell.strip() for cell in row.split("|")[1:-1])
        for row in _section(title).splitlines()
        if row.startswith("| `")
    ]
    return [(one[0].strip("`"), *one[1:]) for one in cells]


def _targets() -> list[str]:
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    return [target for line in phony for target in line.split()]


def _has_code(command: str) -> bool:
    """Whether the modules of ours that a command runs are there."""
    if command.startswith("make "):
        target = re.escape(command.removeprefix("make "))
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
        command = recipe.group(1) if recipe else ""
    modules = re.findall(r"-m ((?:app|bench|drills|infra|workers)(?:\.\w+)*)", command)
    paths = [ROOT / one.replace(".", "/") for one in modules]
    return all(
        path.with_suffix(".py").exists() or (path / "__main__.py").exists() for path in paths
    )


def _defaults() -> dict[str, object]:
    """What app/settings.py reads: each variable's name and default (None: there is none)."""
    found: dict[str, object] = {}
    for node in ast.walk(SETTINGS):
        if not isinstance(node, ast.Call):
            continue
        # env.str(NAME, default) or one of its helpers: (env or a reader, NAME, default, ...)
        reads = isinstance(node.func, ast.Attribute) and ast.unparse(node.func).startswith("env.")
        name, *rest = [*(node.args if reads else node.args[1:]), ast.Constant(None)]
        if not (isinstance(name, ast.Constant) and VARIABLE.fullmatch(str(name.value))):
            continue
        plain = isinstance(node.func, ast.Name) and node.func.id in NO_DEFAULT
        value = None if plain else _value(rest[0])
        if value is not None or name.value not in found:
            found[str(name.value)] = value
    return found


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Name):
        return _assigned(node.id)
    return (node.value or None) if isinstance(node, ast.Constant) else None


def _assigned(name: str) -> object:
    """The value that a name has in production."""
    for node in ast.walk(SETTINGS):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
            targets = [one.id for one in node.targets if isinstance(one, ast.Name)]
            if name in targets and isinstance(node.value.body, ast.Constant):
                return node.value.body.value
    return None


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _names(path: Path) -> set[str]:
    """Functions and classes of a file, methods as Class.method."""
    source = path.read_text()
    if path.suffix != ".py":
        return set(re.findall(r"function\*? (\w+)", source))
    tree = ast.parse(source)
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names
