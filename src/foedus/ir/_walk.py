# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Walking over the nodes of a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import assert_never

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
)
from foedus.types import Type


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that a node is directly made of, in order of evaluation."""
    match node:
        case Record(fields):
            return tuple(child for _, child in fields)
        case Selection(source):
            return (source,)
        case Lambda(body=body):
            return (body,)
        case Call(function, argument):
            return (function,) if argument is None else (function, argument)
        case Block(bindings, result):
            return (*(child for _, child in bindings), result)
        case Reference() | Literal() | Intrinsic() | Foreign():
            return ()
        case _:
            assert_never(node)


def rebuild(node: Node, new: Sequence[Node]) -> Node:
    """A node like another one, made of other nodes.

    Args:
        node: The node.
        new: What stands in place of its ``children``, in their order.

    Returns:
        The node itself where all are the same.
    """
    if all(one is other for one, other in zip(children(node), new, strict=True)):
        return node
    match node:
        case Record(fields, container):
            names = (name for name, _ in fields)
            return Record(tuple(zip(names, new, strict=True)), container)
        case Selection(_, index):
            return Selection(new[0], index)
        case Lambda(parameter, parameter_type, _):
            return Lambda(parameter, parameter_type, new[0])
        case Call():
            return Call(new[0], new[1] if len(new) > 1 else None)
        case Block(bindings, _):
            names = (name for name, _ in bindings)
            return Block(tuple(zip(names, new[:-1], strict=True)), new[-1])
        case Reference() | Literal() | Intrinsic() | Foreign():
            return node
        case _:
            assert_never(node)


def walk(node: Node) -> Iterator[Node]:
    """All nodes of a program, each before its children."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def walk_in_scope(node: Node) -> Iterator[tuple[Node, Mapping[str, Type]]]:
    """All nodes of a program, each before its children, with what is bound around it.

    Args:
        node: The program.

    Yields:
        A node, and the types of the names that a lambda or a block around it binds. The mapping is one and
        the same, and right until the next step.
    """
    scope: dict[str, Type] = {}
    pending: list[Node | dict[str, Type | None]] = [node]
    while pending:
        now = pending.pop()
        if isinstance(now, dict):
            _rebind(scope, now)
            continue
        yield now, scope
        match now:
            case Lambda(str(parameter), parameter_type, body):
                pending += [{parameter: scope.get(parameter)}, body, {parameter: parameter_type}]
            case Block(bindings, result):
                pending += [{name: scope.get(name) for name, _ in bindings}, result]
                for name, child in reversed(bindings):
                    pending.append({name: child.type})
                    pending.append(child)
            case _:
                pending.extend(reversed(children(now)))


def _rebind(scope: dict[str, Type], names: Mapping[str, Type | None]) -> None:
    """Binds names, and those without a type no longer."""
    for name, type_ in names.items():
        if type_ is None:
            del scope[name]
        else:
            scope[name] = type_


def transform(node: Node, change: Callable[[Node], Node]) -> Node:
    """A program in which every node has been replaced, children first.

    Args:
        node: The program.
        change: What to put in place of a node whose children have been replaced. It is asked once about a
            node that stands in several places.

    Returns:
        The new program; the same where nothing changed.
    """
    done: dict[int, Node] = {}
    pending = [(node, False)]
    while pending:
        now, is_ready = pending.pop()
        if id(now) in done:
            continue
        inner = children(now)
        if is_ready or not inner:
            done[id(now)] = change(rebuild(now, [done[id(child)] for child in inner]))
        else:
            pending.append((now, True))
            pending.extend((child, False) for child in reversed(inner))
    return done[id(node)]


def free_names(node: Node) -> set[str]:
    """The names that a program refers to and does not bind."""
    return {
        found.name
        for found, scope in walk_in_scope(node)
        if isinstance(found, Reference) and found.name not in scope
    }


def leaves_of(node: Node) -> dict[str, Foreign | Literal]:
    """The leaves that print as a hash, by that hash: what ``parse_program`` needs beside the text."""
    return {
        leaf_digest(n): n
        for n in walk(node)
        if isinstance(n, Foreign) or (isinstance(n, Literal) and len(n.data) > MOST_PRINTED)
    }


MOST_PRINTED = 64
"""Bytes of a literal that print as numbers; a larger one prints as its hash."""


def leaf_digest(node: Foreign | Literal) -> str:
    """The hash under which a leaf prints."""
    if isinstance(node, Foreign):
        return node.digest[:16]
    return sha256(str(node.type).encode() + b"\0" + node.data).hexdigest()[:16]
