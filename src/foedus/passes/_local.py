# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What placed bindings are at one member of their placement: programs of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foedus.ir import Block, Call, Lambda, Node, Reference, transform
from foedus.passes._retype import retyped
from foedus.passes._round import Round, fields_of, operator_of
from foedus.passes.call_dominant import call_dominant
from foedus.types import Federated, Struct, Type

LOCAL = ("federated_value", "federated_eval", "federated_map", "federated_zip")
"""The operators on placed values that have a meaning at each member alone."""


def unplaced(type_: Type) -> Type:
    """The type of a value at one member of its placement."""
    if isinstance(type_, Struct):
        return Struct(tuple((name, unplaced(t)) for name, t in type_.fields), type_.container)
    assert isinstance(type_, Federated), "the value is placed nowhere; please report"
    return type_.member


def substituted(node: Node, known: Mapping[str, Node]) -> Node:
    """A node with other nodes in place of names."""
    return transform(node, lambda n: known.get(n.name, n) if isinstance(n, Reference) else n)


def tidied(program: Node) -> Lambda:
    """A program in call-dominant form, without a block where nothing is bound."""
    flat = call_dominant(program)
    assert isinstance(flat.body, Block)
    return flat if flat.body.bindings else Lambda(flat.parameter, flat.parameter_type, flat.body.result)


class Member:
    """Computes bindings of a round at one member of their placement.

    Args:
        round_: The round.
        given: What stands there for names that are not computed.
    """

    def __init__(self, round_: Round, given: Mapping[str, Node] | None = None) -> None:
        self._round = round_
        self._known = dict(given or {})
        self._made: list[tuple[str, Node]] = []

    def values(self, nodes: Sequence[Node]) -> list[Node]:
        """Nodes as they are at the member; what they depend on is computed before.

        Args:
            nodes: Nodes that depend on operators in ``LOCAL``, calls of leaves, and what is given.

        Returns:
            Nodes of plain types.
        """
        for name, call in self._round.needed(nodes, self._known):
            value = _member(call, self._known)
            self._made.append((name, value))
            self._known[name] = Reference(name, value.type)
        return [substituted(node, self._known) for node in nodes]

    def program(self, parameter: Reference | None, result: Node) -> Lambda:
        """A local program with what has been computed so far.

        Args:
            parameter: Its parameter, to which what was given refers.
            result: Its result, made of values.

        Returns:
            The program, in call-dominant form.
        """
        body = Block(tuple(self._made), result)
        if parameter is None:
            return tidied(Lambda(None, None, body))
        return tidied(Lambda(parameter.name, parameter.type, body))


def _member(call: Call, known: Mapping[str, Node]) -> Node:
    """The value of a call at one member."""
    type_ = call.type
    if not isinstance(type_, Federated) or call.argument is None:
        return substituted(call, known)
    match operator_of(call):
        case "federated_value" | "federated_zip":
            value = substituted(call.argument, known)
        case "federated_eval":
            value = Call(substituted(call.argument, known), None)
        case "federated_map":
            fn, mapped = (substituted(field, known) for field in fields_of(call))
            value = Call(fn, mapped)
        case name:
            raise AssertionError(f"{name} has no meaning at one member; please report")
    return retyped(value, type_.member)
