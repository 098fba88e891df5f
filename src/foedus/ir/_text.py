# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How programs print."""

from __future__ import annotations

import json
from typing import TypeAlias, assert_never

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

_Piece: TypeAlias = "str | tuple[Node, int | None]"
"""A text, or a node to be printed with an indent; without one it stays on its line."""


def show_program(node: Node) -> str:
    """The text of a program on one line, of which ``parse_program`` is the inverse."""
    return _show(node, None)


def show_program_lines(node: Node) -> str:
    """The text of a program with a line for every binding of a block, for people."""
    return _show(node, 0)


def _show(node: Node, indent: int | None) -> str:
    text: list[str] = []
    pending: list[_Piece] = [(node, indent)]
    while pending:
        piece = pending.pop()
        if isinstance(piece, str):
            text.append(piece)
        else:
            pending.extend(reversed(_pieces(*piece)))
    return "".join(text)


def _pieces(node: Node, indent: int | None) -> list[_Piece]:
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
            return [(source, indent), select_path(struct, index)]
        case Lambda(parameter, parameter_type, body):
            head = "" if parameter is None else f"{parameter}:{parameter_type}"
            return [f"({head} -> ", (body, indent), ")"]
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


def _show_record(fields: tuple[tuple[str | None, Node], ...], indent: int | None) -> list[_Piece]:
    pieces: list[_Piece] = ["<"]
    for i, (name, child) in enumerate(fields):
        pieces += [","] if i else []
        pieces += [] if name is None else [f"{show_name(name)}="]
        pieces.append((child, indent))
    return [*pieces, ">"]


def _show_call(node: Call, indent: int | None) -> list[_Piece]:
    function, argument = node.function, node.argument
    given: list[_Piece] = ["("] if argument is None else ["(", (argument, indent)]
    if isinstance(function, Intrinsic) and argument and function.type.parameter == argument.type:
        return [_operator(function), *given, ")"]
    return [(function, indent), *given, ")"]


def _show_block(node: Block, indent: int | None) -> list[_Piece]:
    deeper = None if indent is None else indent + 2
    line = "" if deeper is None else "\n" + " " * deeper
    pieces: list[_Piece] = ["(let " if deeper is None else "(let"]
    for i, (name, child) in enumerate(node.bindings):
        pieces += ["," if i else "", line, f"{name}=", (child, deeper)]
    end = " in " if indent is None else "\n" + " " * indent + "in "
    return [*pieces, end, (node.result, indent), ")"]


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
