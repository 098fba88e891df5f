# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Counts the suppressions in the tree, and fails when there are more than the recorded limits allow.

A suppression is a comment that silences a tool, or an `Any` in a function's signature in the packages that
`pyproject.toml` has pyright check strictly. The limits stand in `tools/suppressions.json`; raising one is a
decision that a reader of the change sees.

    python tools/suppressions.py [ROOT]
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

LIMITS = "tools/suppressions.json"
TREES = ("src", "tests", "tools", "benchmarks")
COMMENTS = {
    "type: ignore": re.compile(r"type:\s*ignore"),
    "pyright: ignore": re.compile(r"pyright:\s*(ignore|basic|standard|report\w+\s*=)"),
    "noqa": re.compile(r"noqa\b", re.IGNORECASE),
    "no cover": re.compile(r"no\s*cover\b"),
}
ANY = "Any in signatures"

Place = tuple[Path, int]


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the line and the text of each comment; words in strings are no comments."""
    with tokenize.open(path) as lines:
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def signature_annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Yields every annotation of a parameter or of a result, in all functions and methods."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        spec = node.args
        parameters = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
        yield from (p.annotation for p in parameters if p is not None and p.annotation is not None)
        if node.returns is not None:
            yield node.returns


def lines_of_any(annotation: ast.expr) -> Iterator[int]:
    """Yields a line for each `Any` in an annotation, quoted annotations included."""
    for node in ast.walk(annotation):
        match node:
            case ast.Name(id="Any") | ast.Attribute(attr="Any"):
                yield node.lineno
            case ast.Constant(value=str(text)) if re.search(r"\bAny\b", text):
                yield node.lineno
            case _:
                pass


def strict_packages(root: Path) -> tuple[Path, ...]:
    """Reads which packages are checked strictly."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return tuple(root / package for package in settings["tool"]["pyright"]["strict"])


def count(root: Path) -> dict[str, list[Place]]:
    """Finds where each kind of suppression stands under `root`."""
    found: dict[str, list[Place]] = {kind: [] for kind in (*COMMENTS, ANY)}
    strict = strict_packages(root)
    files = [path for tree in TREES for path in sorted((root / tree).rglob("*.py"))]
    for path in files:
        for line, text in comments(path):
            for kind, pattern in COMMENTS.items():
                if pattern.search(text):
                    found[kind].append((path, line))
        if any(path.is_relative_to(package) for package in strict):
            for annotation in signature_annotations(ast.parse(path.read_bytes(), str(path))):
                found[ANY] += [(path, line) for line in lines_of_any(annotation)]
    return found


def report(found: dict[str, list[Place]], limits: dict[str, int], root: Path) -> bool:
    """Prints a line for each kind, with the places where a limit is passed; tells whether all limits hold."""
    for kind, places in found.items():
        limit = limits[kind]
        verdict = "ok" if len(places) == limit else "too many" if len(places) > limit else "below the limit"
        print(f"{kind:<18} {len(places):>4} of {limit:>4}  {verdict}")
    over = [kind for kind, places in found.items() if len(places) > limits[kind]]
    under = [kind for kind, places in found.items() if len(places) < limits[kind]]
    for kind in over:
        print(f"\n{kind}: {len(found[kind])} stand in the tree, {limits[kind]} are allowed:")
        print("\n".join(f"  {path.relative_to(root)}:{line}" for path, line in found[kind]))
    if over:
        print(
            f"\nTake the new ones out, or raise the limit in {LIMITS} on purpose and say why in the commit."
        )
    if under:
        print(
            f"\nFewer than recorded: {', '.join(under)}. Lower the limits in {LIMITS}, to keep what was won."
        )
    return not over


def main(arguments: list[str]) -> int:
    """Compares the tree with its limits; 0 means that they hold."""
    root = Path(arguments[0]).resolve() if arguments else Path(__file__).resolve().parents[1]
    found = count(root)
    limits = json.loads((root / LIMITS).read_text(encoding="utf-8"))
    if limits.keys() != found.keys():
        print(f"{LIMITS} must hold exactly these numbers: {', '.join(found)}")
        return 1
    return 0 if report(found, limits, root) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
