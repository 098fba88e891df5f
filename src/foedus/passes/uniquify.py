# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Unique names: what lambdas and blocks bind is called differently everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from foedus.ir import Block, Lambda, Node, Reference, children, rebuild, walk_in_scope


class _Names:
    """The names of one program: those that are given out, and those that are still to come."""

    def __init__(self, program: Node) -> None:
        self.given: set[str] = set()
        self.known: set[str] = set()
        for node, scope in walk_in_scope(program):
            if isinstance(node, Reference) and node.name not in scope:
                self.given.add(node.name)
            self.known.update(_bound_by(node))
        self.known |= self.given
        self.last: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        """The name itself for who asks first, then the name with a number."""
        if name not in self.given:
            self.given.add(name)
            return name
        number = self.last.get(name, 1)
        while (numbered := f"{name}_{number}") in self.known:
            number += 1
        self.last[name] = number + 1
        self.known.add(numbered)
        return numbered


def _bound_by(node: Node) -> tuple[str, ...]:
    """The names that a node binds itself."""
    match node:
        case Lambda(str(parameter)):
            return (parameter,)
        case Block(bindings):
            return tuple(name for name, _ in bindings)
        case _:
            return ()


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names are called from here on; None where a name is its own again."""

    names: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class _Finished:
    """A node whose children have been renamed, and what it binds is called now."""

    node: Node
    names: tuple[str, ...]


def uniquify(program: Node) -> Node:
    """Gives everything that is bound a name of its own, different from all others and from free names.

    Args:
        program: Any program, closed or not.

    Returns:
        The program, the same object where its names differ already. What is bound first keeps its name,
        later ones of that name get a number.
    """
    names = _Names(program)
    scope: dict[str, str] = {}
    done: list[Node] = []
    pending: list[Node | _Scope | _Finished] = [program]
    while pending:
        now = pending.pop()
        match now:
            case _Scope():
                _enter(scope, now.names)
            case _Finished(node, bound):
                first = len(done) - len(children(node))
                done[first:] = [_renamed(node, bound, done[first:])]
            case Reference(name, type_):
                new = scope.get(name, name)
                done.append(now if new == name else Reference(new, type_))
            case Lambda(str(parameter), _, body):
                new = names.fresh(parameter)
                pending += [_Finished(now, (new,)), _Scope({parameter: scope.get(parameter)}), body]
                scope[parameter] = new
            case Block(bindings, result):
                bound = tuple(names.fresh(name) for name, _ in bindings)
                pending += [_Finished(now, bound), _Scope({name: scope.get(name) for name, _ in bindings})]
                pending.append(result)
                for (name, child), new in zip(reversed(bindings), reversed(bound), strict=True):
                    pending += [_Scope({name: new}), child]
            case _:
                pending += [_Finished(now, ()), *reversed(children(now))]
    return done[0]


def _enter(scope: dict[str, str], names: dict[str, str | None]) -> None:
    for name, new in names.items():
        if new is None:
            scope.pop(name, None)
        else:
            scope[name] = new


def _renamed(node: Node, names: tuple[str, ...], inner: list[Node]) -> Node:
    """A node with new children that binds other names."""
    new = rebuild(node, inner)
    if names == _bound_by(new):
        return new
    if isinstance(new, Lambda):
        return Lambda(names[0], new.parameter_type, new.body)
    assert isinstance(new, Block), "only lambdas and blocks bind names; please report"
    values = (child for _, child in new.bindings)
    return Block(tuple(zip(names, values, strict=True)), new.result)
