# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The house rules that no other tool checks: where code may stand, what it may be called, what it may do."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "foedus"
SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = sorted(
    path for tree in ("src", "tests", "tools", "benchmarks") for path in (ROOT / tree).rglob("*.py")
)

HEADER = ["# SPDX-FileCopyrightText: The Foedus authors", "# SPDX-License-Identifier: Apache-2.0"]
MOST_LINES = 800
VAGUE = re.compile(
    r"(utils?|helpers?|common|misc|libs?|core|base|impls?|managers?|factory|factories)", re.IGNORECASE
)
VAGUE_WORDS = "util, helper, common, misc, lib, core, base, impl, manager or factory"
FAMILIES = (
    "passes",
    "frontends",
    "learning/algorithms",
    "simulation/datasets",
    "simulation/baselines",
    "tff",
)
DYNAMIC_IMPORTS = {
    "foedus/foreign/_table.py": 1,  # the module of a kind, by name, when the kind is first used
    "foedus/lang/_current.py": 1,  # the default runtime, by name, at the first call
}
IMPORTERS = {"import_module", "__import__"}
UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"eval", "exec"}
HEAVY = ("jax", "keras", "matplotlib", "tensorflow", "torch")


def shown(path: Path) -> str:
    """A path as the messages below name it: from `src` on for the package, from the root for the rest."""
    return path.relative_to(ROOT / "src" if path.is_relative_to(PACKAGE) else ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}
PACKAGES = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")
SUBPACKAGES = [name for name in PACKAGES if name != "foedus"]


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the dotted name of every call, for callees that have one."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node.lineno, ast.unparse(node.func)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the full name of every module imported, wherever in the file the import stands."""
    inside = module_name(path).split(".") if path in SOURCES else []
    inside = inside if path.name == "__init__.py" else inside[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = inside[: len(inside) - node.level + 1] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield node.lineno, name if name in MODULES else source


def obey(rule: str, broken: Iterable[str]) -> None:
    """Fails with the rule and everything that breaks it."""
    lines = [f"  {line}" for line in sorted(broken)]
    if lines:
        pytest.fail("\n".join([rule, *lines]), pytrace=False)


def test_there_is_something_to_check():
    assert SOURCES, f"no Python file under {PACKAGE}"


def test_every_file_begins_with_its_licence():
    def begins_well(path: Path) -> bool:
        lines = path.read_text(encoding="utf-8").splitlines()
        return lines[:2] == HEADER or (lines[:1] != [] and lines[0].startswith("#!") and lines[1:3] == HEADER)

    obey(
        "A file begins with the two SPDX lines:\n    " + "\n    ".join(HEADER),
        (shown(path) for path in EVERYTHING if not begins_well(path)),
    )


def test_there_is_no_third_dynamic_import():
    found = Counter({shown(path): 0 for path in SOURCES})
    for path in SOURCES:
        found[shown(path)] += sum(name.split(".")[-1] in IMPORTERS for _, name in calls(path))
    files = sorted({*found, *DYNAMIC_IMPORTS})
    obey(
        "A module is imported by name in exactly two places, which this test lists",
        (
            f"{file}: {found[file]} dynamic imports, {DYNAMIC_IMPORTS.get(file, 0)} expected"
            for file in files
            if found[file] != DYNAMIC_IMPORTS.get(file, 0)
        ),
    )


def test_no_file_or_package_has_a_name_that_says_nothing():
    def is_vague(path: Path) -> bool:
        words = (word for part in path.relative_to(ROOT).with_suffix("").parts for word in part.split("_"))
        return any(VAGUE.fullmatch(word) for word in words)

    obey(
        f"Find the noun: no file or package is called {VAGUE_WORDS}",
        (shown(path) for path in EVERYTHING if is_vague(path)),
    )


def test_no_class_has_a_name_that_says_nothing():
    def vague_classes(path: Path) -> Iterator[str]:
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            if any(
                VAGUE.fullmatch(word) for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", node.name)
            ):
                yield f"{shown(path)}:{node.lineno}: {node.name}"

    # The names in `tff` are given by the interface that it mirrors.
    ours = (path for path in SOURCES if not path.is_relative_to(PACKAGE / "tff"))
    obey(
        f"Find the noun: no class is called {VAGUE_WORDS}",
        (line for path in ours for line in vague_classes(path)),
    )


def test_nothing_unsafe_is_imported():
    obey(
        "What comes from outside is decoded by type: no pickle, nor what is built on it",
        (
            f"{shown(path)}:{line}: imports {name}"
            for path in SOURCES
            for line, name in imports(path)
            if name.split(".")[0] in UNSAFE_MODULES
        ),
    )


def test_no_text_is_run_as_code():
    obey(
        "Text is never run as code: no eval, no exec",
        (
            f"{shown(path)}:{line}: calls {name}"
            for path in SOURCES
            for line, name in calls(path)
            if name.removeprefix("builtins.") in UNSAFE_CALLS
        ),
    )


def test_no_file_is_too_long():
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    obey(
        f"One idea per file: at most {MOST_LINES} lines",
        (f"{file}: {length} lines" for file, length in lengths.items() if length > MOST_LINES),
    )


def test_packages_only_reexport():
    def is_reexport(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                return True
            case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.AnnAssign(target=ast.Name(id="__all__")):
                return True
            case _:
                return False

    doors = (path for path in SOURCES if path.name == "__init__.py" and path.parent != PACKAGE)
    obey(
        "The __init__.py of a package holds a docstring, imports and __all__, and nothing else",
        (
            f"{shown(path)}:{node.lineno}"
            for path in doors
            for node in tree_of(path).body
            if not is_reexport(node)
        ),
    )


def test_modules_are_private():
    families = tuple(PACKAGE / family for family in FAMILIES)
    obey(
        f"A module is private (_name.py), except in the families named by file: {', '.join(FAMILIES)}",
        (
            shown(path)
            for path in SOURCES
            if not path.name.startswith("_") and not any(path.is_relative_to(family) for family in families)
        ),
    )


def test_no_module_goes_through_a_door_that_it_stands_behind():
    """Import-linter sees cycles between siblings; this one runs through the __init__.py of their parent."""

    def own_doors(path: Path) -> Iterator[str]:
        name = module_name(path)
        for line, imported in imports(path):
            if name.startswith(f"{imported}.") and imported in PACKAGES:
                yield f"{shown(path)}:{line}: imports from {imported}"

    obey(
        "A module imports from the modules beside it, not from the package around it",
        (line for path in SOURCES if path.name != "__main__.py" for line in own_doors(path)),
    )


def exports() -> Iterator[tuple[str, str, object]]:
    """The package, the name and the object, for each public name of each package below the root."""
    for package in SUBPACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            yield package, name, getattr(module, name)


def is_ours(thing: object) -> bool:
    """Tells whether the package made this object; numbers, strings and classes of others have no one path."""
    maker = thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing)
    return str(getattr(maker, "__module__", "")).partition(".")[0] == "foedus"


@pytest.mark.parametrize("package", SUBPACKAGES)
def test_packages_say_what_is_public(package: str):
    module = importlib.import_module(package)
    assert module.__doc__, f"{package}/__init__.py has no docstring"
    missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
    obey(f"Every name in {package}.__all__ exists", missing)


def test_public_names_have_one_path():
    paths: defaultdict[int, set[str]] = defaultdict(set)
    packages: defaultdict[int, set[str]] = defaultdict(set)
    for package, name, thing in exports():
        # `tff` shows a second face of the same things, on purpose.
        if is_ours(thing) and not package.startswith("foedus.tff"):
            paths[id(thing)].add(f"{package}.{name}")
            packages[id(thing)].add(package)
    obey(
        "A public name has one path: only one package exports it",
        (" = ".join(sorted(paths[key])) for key, where in packages.items() if len(where) > 1),
    )


def test_public_names_are_documented():
    def is_documented(thing: object) -> bool:
        if not (inspect.isroutine(thing) or inspect.isclass(thing)):
            return True
        # A dataclass without a docstring is given its signature for one.
        return bool(thing.__doc__) and not thing.__doc__.startswith(f"{thing.__name__}(")

    obey(
        "A public function or class says what it is in its docstring",
        (
            f"{package}.{name}"
            for package, name, thing in exports()
            if is_ours(thing) and not is_documented(thing)
        ),
    )


def test_import_is_light():
    program = f"import sys, foedus; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`import foedus` fails in a fresh interpreter:\n{done.stderr}"
    loaded = done.stdout.split()
    assert not loaded, f"`import foedus` loads {', '.join(loaded)}, which should wait for their first use"


def test_strict_layers_are_those_without_an_array_framework():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    strict = [package.removeprefix("src/").replace("/", ".") for package in settings["pyright"]["strict"]]
    contracts = {contract["id"]: contract for contract in settings["importlinter"]["contracts"]}
    assert contracts["no-array-framework"]["source_modules"] == strict
