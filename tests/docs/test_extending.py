# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What ``docs/extending.md`` says, done: its blocks are run in the modules that they name."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import foedus as fd
from foedus import ir, passes
from foedus.intrinsics import TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL)
DISPATCH = ("TABLE", "_FOLDS", "_MONOIDS")


def module_of(title):
    return importlib.import_module(title.removeprefix("src/").removesuffix(".py").replace("/", "."))


@pytest.fixture
def extended(monkeypatch):
    """Runs the blocks of one operator, and takes them back afterwards."""

    def extend(operator):
        program = None
        for title, source in BLOCKS:
            if operator not in source and f"def {operator.removeprefix('federated_')}" not in source:
                continue
            if title == "a program":
                program = source
                continue
            module = module_of(title)
            for name in DISPATCH:
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, getattr(module, name))
            names = dict(vars(module))
            for name in ("Tensor", "np"):
                names.setdefault(
                    name, {"Tensor": fd.types.Tensor, "np": importlib.import_module("numpy")}[name]
                )
            exec(compile(source, title, "exec"), names)
            for name in re.findall(r"^def (\w+)", source, re.MULTILINE):
                monkeypatch.setattr(module, name, names[name], raising=False)
        return program

    before = {name: dict(getattr(module_of(title), name)) for title, name in TABLES}
    yield extend
    for title, name in TABLES:
        table = getattr(module_of(title), name)
        table.clear()
        table.update(before[name])


TABLES = (
    ("src/foedus/intrinsics/_table.py", "TABLE"),
    ("src/foedus/runtime/_reference_folds.py", "_FOLDS"),
    ("src/foedus/runtime/_evaluate.py", "_MONOIDS"),
)


def run(program) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program, "extending.md", "exec"), names)
    return names


def test_a_derived_operator_touches_the_table_and_the_spec(extended):
    names = run(extended("federated_count"))
    computation = names["how_many"]
    text = ir.show_program(computation.node)
    assert ir.parse_program(text, ir.leaves_of(computation.node)) == computation.node
    assert ir.check(passes.replace_intrinsics(computation.node)) == computation.type
    reference = fd.runtime.reference()
    with fd.use(reference):
        computation([1.0, 2.0])
    assert reference.crossings == fd.explain(computation).crossings


def test_a_primitive_operator_touches_the_runtimes_too(extended):
    names = run(extended("federated_product"))
    reference = fd.runtime.reference()
    with fd.use(reference):
        names["product"]([1.0, 2.0])
    assert reference.crossings == fd.explain(names["product"]).crossings


def test_the_page_is_taken_back():
    assert "federated_count" not in TABLE
    assert "federated_product" not in TABLE


@pytest.mark.parametrize("title", sorted({title for title, _ in BLOCKS if title != "a program"}))
def test_the_files_that_the_page_names_exist(title):
    assert (ROOT / title).is_file()


def test_the_spec_has_a_line_for_every_operator():
    spec = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    missing = [name for name in TABLE if f"`{name}`" not in spec]
    assert not missing


def test_the_spec_quotes_the_schemes_of_the_table():
    spec = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    missing = {name: row.scheme for name, row in TABLE.items() if f"`{row.scheme}`" not in spec}
    assert not missing
