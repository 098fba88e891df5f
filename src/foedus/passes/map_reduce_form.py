# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Map-reduce form: a round as the local programs that a deployment runs at the server and at clients."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from foedus.ir import Intrinsic, Node, walk
from foedus.passes._bundle import bundle_type
from foedus.passes._fit import Fit, pair, struct
from foedus.passes._local import unplaced
from foedus.passes._round import arguments_of
from foedus.types import (
    CLIENTS,
    EMPTY,
    KEY,
    SERVER,
    Federated,
    Function,
    PlacementLiteral,
    Struct,
    Tensor,
    Type,
    show,
)

SECURE_SUMS = {
    "secure_sum": "max_input",
    "secure_sum_bitwidth": "bitwidth",
    "secure_modular_sum": "modulus",
}
"""The secure sums that a form can hold, and what their bounds are called."""

_FIT = Fit("map-reduce form")


def member_type(parameter: Type | None, placement: PlacementLiteral) -> Type:
    """What one member of a placement has of a computation's argument: its one value, or a struct of them."""
    own = [a for a in arguments_of(parameter, _FIT.form) if a.type.placement == placement]
    return bundle_type((a.field, a.type.member) for a in own)


@final
@dataclass(frozen=True)
class MapReduceForm:
    """A round that goes down to the clients once and up once, as closed programs of plain values.

    In the types below, ``S`` is what the computation takes at the server and ``D`` what it takes at each
    client: the one value, or the struct of them where there are none or several. ``R`` is the type of its
    result with the placements taken away; for a process ``<state=S,result=...,measurements=...>``. ``B``
    holds all that is broadcast, ``W``, ``U`` and ``A`` the parts of all folds, ``V1`` to ``V3`` the operands
    of the secure sums: again the one value, or a struct of them.

    Args:
        type: The type of the computation.
        purposes: For each key that clients get, what it is for. The platform derives a client's key from the
            server's key, the client's id and the purpose (see the spec, R1).
        prepare: ``(S -> <broadcast=B,keys=<uint32[2],...>>)``, with a server key for each purpose.
        work: ``(<data=D,broadcast=B,keys=<uint32[2],...>> -> <simple=W,secure_sum=V1,secure_sum_bitwidth=V2,
            secure_modular_sum=V3>)``; the keys are the client's own.
        zero: ``( -> U)``.
        accumulate: ``(<U,W> -> U)``.
        merge: ``(<U,U> -> U)``.
        report: ``(U -> A)``.
        max_input: ``( -> M1)``, the greatest integers that ``V1`` may hold: one for all, or a struct of them
            like ``V1``.
        bitwidth: ``( -> M2)``, the bits of the integers in ``V2``.
        modulus: ``( -> M3)``, the moduli of ``V3``.
        update: ``(<server=S,simple=A,secure_sum=V1,secure_sum_bitwidth=V2,secure_modular_sum=V3> -> R)``.

    Raises:
        CompositionError: If the programs do not fit together.
        TypeMismatchError: If one is not well typed, or not closed.
    """

    type: Function
    purposes: tuple[str, ...]
    prepare: Node
    work: Node
    zero: Node
    accumulate: Node
    merge: Node
    report: Node
    max_input: Node
    bitwidth: Node
    modulus: Node
    update: Node

    def __post_init__(self) -> None:
        _FIT.require_at_server(self.type.result)
        for name, program in self.programs.items():
            _require_local(name, program)
        server, data = (member_type(self.type.parameter, at) for at in (SERVER, CLIENTS))
        broadcast, keys = _FIT.fields("prepare", self.prepare, server, "broadcast", "keys")
        _FIT.require_same("keys of prepare", Struct(tuple((None, KEY) for _ in self.purposes)), keys)
        given = struct(data=data, broadcast=broadcast, keys=keys)
        simple, *secure = _FIT.fields("work", self.work, given, "simple", *SECURE_SUMS)
        state = _FIT.result("zero", self.zero, None)
        _FIT.require("accumulate", state, _FIT.result("accumulate", self.accumulate, pair(state, simple)))
        _FIT.require("merge", state, _FIT.result("merge", self.merge, pair(state, state)))
        aggregate = _FIT.result("report", self.report, state)
        for bound, summed in zip(SECURE_SUMS.values(), secure, strict=True):
            found = _FIT.result(bound, self.programs[bound], None)
            if not _are_bounds(found, summed):
                raise _FIT.error(
                    f"{bound} does not match what is added", found, f"an integer, or a struct like {summed}"
                )
        total = struct(server=server, simple=aggregate, **dict(zip(SECURE_SUMS, secure, strict=True)))
        _FIT.require_same("update", unplaced(self.type.result), _FIT.result("update", self.update, total))

    @property
    def programs(self) -> dict[str, Node]:
        """The programs by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("type", "purposes")}

    @property
    def has_secure_sums(self) -> bool:
        """Whether anything leaves the clients in a secure sum."""
        assert isinstance(self.work.type, Function)
        result = self.work.type.result
        assert isinstance(result, Struct)
        return any(type_ != EMPTY for _, type_ in result.fields[1:])

    def __str__(self) -> str:
        return "\n".join(f"{name:<11}{show(program.type)}" for name, program in self.programs.items())


def _require_local(name: str, program: Node) -> None:
    for node in walk(program):
        if isinstance(node, Intrinsic) and isinstance(node.type.result, Federated):
            raise _FIT.error(f"{name} is not local", node.name, "operators on values that are not placed")


def _are_bounds(bound: Type, summed: Type) -> bool:
    """Whether bounds are one integer for all, or a struct of bounds for the fields."""
    if isinstance(bound, Tensor):
        return bound.shape == () and bound.dtype.kind in "iu"
    if not isinstance(bound, Struct) or not isinstance(summed, Struct):
        return False
    if len(bound.fields) != len(summed.fields):
        return False
    return all(_are_bounds(b, s) for (_, b), (_, s) in zip(bound.fields, summed.fields, strict=True))
