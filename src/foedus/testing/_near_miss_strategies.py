# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies for near misses: programs that are one small mistake away from being well typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from hypothesis import strategies as st

from foedus.intrinsics import TABLE, Flow
from foedus.ir import (
    Call,
    Intrinsic,
    Lambda,
    Node,
    Record,
    Reference,
    Selection,
    check,
    free_names,
    show_program,
    transform,
    walk_in_scope,
)
from foedus.testing._program_steps import PLACEMENTS
from foedus.testing._program_strategies import Program, programs
from foedus.types import (
    Federated,
    Function,
    Sequence,
    Struct,
    Tensor,
    Type,
    bool_,
    int8,
    is_assignable,
)

Mistake: TypeAlias = tuple[str, Callable[[], Node]]
"""What is wrong, in a few words, and what makes a wrong part of a program, which may fail already."""


@dataclass(frozen=True)
class NearMiss:
    """A mistake in a program.

    Args:
        program: The program; well typed.
        mistake: What is wrong, in a few words.
        part: The part of the program that becomes a wrong one.
        make: Makes the wrong part.
    """

    program: Program
    mistake: str
    part: Node
    make: Callable[[], Node]

    def check(self) -> Type:
        """Makes the mistake and checks the program.

        Returns:
            The type of the program, if it were well typed.

        Raises:
            TypeMismatchError: Always, if the checker does what it should.
        """
        return check(
            transform(self.program.computation.node, lambda node: self.make() if node is self.part else node)
        )

    def __str__(self) -> str:
        return f"{self.mistake}: at {show_program(self.part)} of\n{self.program.computation}"


# ---------------------------------------------------------------- types that are a little wrong


def _wrong_here(type_: Type) -> Iterator[tuple[str, Type]]:
    """Types that differ from one at its top: neither can be used as the other."""
    match type_:
        case Tensor(dtype, shape):
            yield "wrong dtype", Tensor((int8 if dtype == bool_.dtype else bool_).dtype, shape)
            if shape is not None:
                yield "wrong shape", Tensor(dtype, (*shape, 7))
        case Struct(fields, container):
            yield "spare field", Struct((*fields, ("spare", bool_)), container)
            if fields:
                yield "missing field", Struct(fields[:-1], container)
            if fields and fields[0][0] is not None:
                yield "misnamed field", Struct((("misnamed", fields[0][1]), *fields[1:]))
            yield "no struct", Sequence(bool_)
        case Sequence():
            yield "no sequence", bool_
        case Federated(member, placement, all_equal):
            for other in PLACEMENTS:
                if other != placement:
                    yield "wrong placement", Federated(member, other, all_equal)
            yield "not placed", member
        case _:
            return


def _wrong(type_: Type) -> Iterator[tuple[str, Type]]:
    """Types that differ from one somewhere inside."""
    yield from _wrong_here(type_)
    match type_:
        case Struct(fields, container):
            for i, (name, part) in enumerate(fields):
                for mistake, other in _wrong(part):
                    yield mistake, Struct((*fields[:i], (name, other), *fields[i + 1 :]), container)
        case Federated(member, placement, all_equal):
            for mistake, other in _wrong(member):
                yield mistake, Federated(other, placement, all_equal)
        case _:
            return


# ---------------------------------------------------------------- mistakes


def _in_a_reference(node: Reference) -> Iterator[Mistake]:
    yield "reference: unbound", partial(Reference, "nobody", node.type)
    for mistake, other in _wrong(node.type):
        yield f"reference: {mistake}", partial(Reference, node.name, other)


def _in_an_operator(node: Intrinsic) -> Iterator[Mistake]:
    parameter, result = node.type.parameter, node.type.result
    yield "operator: unknown", partial(Intrinsic, f"{node.name}s", node.type)
    if parameter is None:
        return
    if not isinstance(parameter, Sequence):
        yield "operator: another", partial(Intrinsic, "sequence_sum", node.type)
    chooses = TABLE[node.name].placed or TABLE[node.name].flow is not Flow.NOWHERE
    for mistake, other in _wrong(result):
        if not (chooses and mistake == "wrong placement"):
            yield f"operator: {mistake}", partial(Intrinsic, node.name, Function(parameter, other))


def _in_a_selection(node: Selection) -> Iterator[Mistake]:
    assert isinstance(node.source.type, Struct)
    yield "selection: no such field", partial(Selection, node.source, len(node.source.type.fields))
    yield "selection: no struct", partial(Selection, Selection(node.source, node.index), 0)


def _in_a_function(node: Lambda) -> Iterator[Mistake]:
    if node.parameter is None or node.parameter_type is None or node.parameter not in free_names(node.body):
        return
    for mistake, other in _wrong(node.parameter_type):
        yield f"parameter: {mistake}", partial(Lambda, node.parameter, other, node.body)


def _in_a_call(node: Call, scope: Mapping[str, Type]) -> Iterator[Mistake]:
    assert isinstance(node.function.type, Function)
    parameter, argument = node.function.type.parameter, node.argument
    yield "call: no function", partial(Call, Record(()), argument)
    if parameter is None or argument is None:
        yield "call: spare argument", partial(Call, node.function, Record(()))
        return
    yield "call: missing argument", partial(Call, node.function, None)
    for name, type_ in scope.items():
        if not is_assignable(parameter, type_):
            yield "call: another value", partial(Call, node.function, Reference(name, type_))
    if isinstance(argument, Record) and argument.fields:
        fields = argument.fields
        shorter, longer = Record(fields[:-1]), Record((*fields, ("spare", fields[0][1])))
        misnamed = Record((("misnamed", fields[0][1]), *fields[1:]))
        yield "call: missing field", partial(Call, node.function, shorter)
        yield "call: spare field", partial(Call, node.function, longer)
        yield "call: misnamed field", partial(Call, node.function, misnamed)


def _mistakes(node: Node, scope: Mapping[str, Type]) -> Iterator[Mistake]:
    """The mistakes that can be made in place of a node."""
    match node:
        case Reference():
            return _in_a_reference(node)
        case Intrinsic():
            return _in_an_operator(node)
        case Selection():
            return _in_a_selection(node)
        case Lambda():
            return _in_a_function(node)
        case Call():
            return _in_a_call(node, scope)
        case _:
            return iter(())


@st.composite
def near_misses(draw: st.DrawFn) -> NearMiss:
    """Programs of `programs` with one mistake, which make them ill-typed.

    References are unbound or of another type; operators are unknown, others, or give another type; fields are
    missing, spare or misnamed; values have another dtype, shape or placement; calls lack an argument, have
    one too many or another one, or call no function.

    Args:
        draw: Given by hypothesis.

    Returns:
        The strategy.
    """
    program = draw(programs())
    found: dict[str, dict[str, list[NearMiss]]] = {}
    for node, scope in walk_in_scope(program.computation.node):
        for mistake, make in _mistakes(node, scope):
            alike = found.setdefault(mistake.partition(":")[0], {}).setdefault(mistake, [])
            alike.append(NearMiss(program, mistake, node, make))
    kinds = draw(st.sampled_from(list(found.values())))
    return draw(st.sampled_from(draw(st.sampled_from(list(kinds.values())))))
