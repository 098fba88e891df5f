# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How programs print."""

from __future__ import annotations

import json
from typing import assert_never

import numpy as np

from foedus.intrinsics import TABLE
from foedus.ir._literal import value_of
from foedus.ir._nodes import (
    Block,
    Call,
    Foreign,
    Intrinsic,
    Lambda,
    Literal,
    Node,
    Record,
    Reference,
    Selection,
    select_path,
)
from foedus.ir._walk import MOST_PRINTED, leaf_digest
from foedus.types import Array, Federated, Struct, show_name


def show_program(node: Node) -> str:
    """The text of a program on one line, of which ``parse_program`` is the inverse."""
    return "".join(_pieces(node, None))


def show_program_lines(node: Node) -> str:
    """The text of a program with a line for every binding of a block, for people."""
    return "".join(_pieces(node, 0))


def _pieces(node: Node, indent: int | None) -> list[str]:
    match node:
        case Reference(name):
            return [name]
        case Literal():
            return [_show_literal(node)]
        case Foreign(kind):
            return [f"{kind}#{leaf_digest(node)}"]
        case Intrinsic(name, type_):
            return [f"{_operator(node)}:{type_}"]
        case Record(fields):
            return _show_record(fields, indent)
        case Selection(source, index):
            struct = source.type
            assert isinstance(struct, Struct)
            return [*_pieces(source, indent), select_path(struct, index)]
        case Lambda(parameter, parameter_type, body):
            head = "" if parameter is None else f"{parameter}:{parameter_type}"
            return [f"({head} -> ", *_pieces(body, indent), ")"]
        case Call():
            return _show_call(node, indent)
        case Block():
            return _show_block(node, indent)
        case _:
            assert_never(node)


def _operator(node: Intrinsic) -> str:
    """The operator's name, with its placement unless that is the usual one."""
    row, result = TABLE[node.name], node.type.result
    unusual = row.placed or (
        row.usual is not None and isinstance(result, Federated) and result.placement != row.usual
    )
    return f"{node.name}@{result.placement}" if unusual and isinstance(result, Federated) else node.name


def _show_record(fields: tuple[tuple[str | None, Node], ...], indent: int | None) -> list[str]:
    pieces = ["<"]
    for i, (name, child) in enumerate(fields):
        pieces += [","] if i else []
        pieces += [] if name is None else [f"{show_name(name)}="]
        pieces += _pieces(child, indent)
    return [*pieces, ">"]


def _show_call(node: Call, indent: int | None) -> list[str]:
    argument = [] if node.argument is None else _pieces(node.argument, indent)
    plain = (
        isinstance(node.function, Intrinsic)
        and node.argument is not None
        and node.function.type.parameter == node.argument.type
    )
    if plain and isinstance(node.function, Intrinsic):
        return [_operator(node.function), "(", *argument, ")"]
    return [*_pieces(node.function, indent), "(", *argument, ")"]


def _show_block(node: Block, indent: int | None) -> list[str]:
    deeper = None if indent is None else indent + 2
    line = "" if deeper is None else "\n" + " " * deeper
    pieces = ["(let " if deeper is None else "(let"]
    for i, (name, child) in enumerate(node.bindings):
        pieces += ["," if i else "", line, f"{name}=", *_pieces(child, deeper)]
    end = " in " if indent is None else "\n" + " " * indent + "in "
    return [*pieces, end, *_pieces(node.result, indent), ")"]


def _show_literal(node: Literal) -> str:
    if len(node.data) > MOST_PRINTED:
        return f"literal#{leaf_digest(node)}"
    return f"{_show_value(value_of(node))}:{node.type}"


def _show_value(array: Array) -> str:
    if array.ndim:
        return f"[{','.join(_show_value(np.asarray(item, array.dtype)) for item in array)}]"
    match array.dtype.kind:
        case "O":
            return json.dumps(array.item())
        case "b":
            return "true" if array else "false"
        case "i" | "u":
            return str(int(array))
        case "c":
            number = complex(array)
            return f"{number.real!r}{'' if repr(number.imag)[0] == '-' else '+'}{number.imag!r}j"
        case _:
            return repr(float(array))
