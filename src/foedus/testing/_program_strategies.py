# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies for programs: computations built with the operators out of a pool of functions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Sequence as Choices
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from foedus.data import ClientId, Tiers
from foedus.lang import Computation, Interpreter, Value, computation, use
from foedus.testing._program_steps import REGIONS, TOWNS, Draft, more
from foedus.types import (
    CLIENTS,
    KEY,
    STRING,
    Federated,
    PythonValue,
    Sequence,
    Struct,
    Tensor,
    Type,
    at_clients,
    at_server,
    bool_,
    float32,
    float64,
    int32,
    int64,
    pack,
    string,
    tensor,
    uint8,
)

_NUMBERS = (float32, int32, float64, int64, uint8, bool_, tensor(float32, (2,)), tensor(int32, (2, 1)), KEY)
_TOWNS = ("south", "east", "north", "west")
_CLIENTS = (1, 2, 3, 5, 40)
"""How many clients: one, a few, and more than a reduction has strands."""
_MOST_STEPS = 14


@dataclass(frozen=True)
class Program:
    """A computation and arguments for it.

    Args:
        computation: The computation; closed and well typed.
        arguments: One value for each of its parameters.
        clients: How many clients there are.
    """

    computation: Computation
    arguments: tuple[PythonValue, ...]
    clients: int

    @property
    def tiers(self) -> Tiers:
        """The members of the tiers that programs may use, and the clients below each, at least one."""
        towns = _TOWNS[: self.clients]
        below: dict[ClientId, list[int]] = {}
        regions: dict[ClientId, list[int]] = {}
        for i, town in enumerate(towns):
            below[town] = list(range(self.clients))[i :: len(towns)]
            regions.setdefault("AB"[i % 2], []).extend(below[town])
        return {REGIONS: regions, TOWNS: below}

    def run(self, make: Callable[..., Interpreter]) -> PythonValue:
        """Runs the computation.

        Args:
            make: Makes a runtime, given ``clients`` and ``tiers``, such as ``foedus.runtime.local``.

        Returns:
            The result.
        """
        with use(make(clients=self.clients, tiers=self.tiers)):
            return self.computation(*self.arguments)

    def __str__(self) -> str:
        return f"{self.computation}\narguments: {self.arguments}"


def _body(draw: st.DrawFn, *parameters: Value) -> PythonValue:
    draft = Draft(draw, list(parameters))
    for _ in range(draft.one_of(*range(1, _MOST_STEPS + 1))):
        draft.pool.append(more(draft))
    pool = draft.pool
    chosen = draw(st.lists(st.sampled_from(pool[len(parameters) - 1 :]), max_size=2))
    shape = draft.one_of(lambda *x: x[-1], lambda *x: x, lambda *x: [*x], lambda *x: {"r": x[-1]})
    return shape(*chosen, pool[-1])


def _members(*, sequences: bool) -> st.SearchStrategy[Type]:
    numbers: st.SearchStrategy[Type] = st.sampled_from(_NUMBERS)
    tensors = st.sampled_from([*_NUMBERS, string, string])
    containers = st.sampled_from([dict, OrderedDict])

    def pairs(parts: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
        return st.builds(lambda a, b, c: Struct((("a", a), ("b", b)), c), parts, parts, containers)

    plain = st.one_of(tensors, pairs(tensors), st.just(Struct(())))
    return plain | st.builds(Sequence, numbers | pairs(numbers)) if sequences else plain


def _small(draw: st.DrawFn, type_: Type) -> PythonValue:
    """A value of numbers so small that their sums are exact, in floating point too."""
    match type_:
        case Struct(fields):
            return pack(type_, [_small(draw, t) for _, t in fields])
        case Sequence(element):
            return [_small(draw, element) for _ in range(draw(st.integers(0, 3)))]
        case Tensor(dtype) if dtype == STRING:
            return draw(st.sampled_from(["", "a", "of Länder", "trailing\0"]))
        case Tensor(dtype, shape):
            number = draw(st.integers(0 if dtype.kind in "ub" else -8, 8))
            step = 4 if dtype.kind == "f" else 1
            return np.full([size or 0 for size in shape or ()], number / step, dtype)[()]
        case _:
            raise AssertionError(f"{type_} is not the type of a plain value; please report")


def _argument(draw: st.DrawFn, type_: Federated, clients: int) -> PythonValue:
    if type_.placement != CLIENTS:
        return _small(draw, type_.member)
    return [_small(draw, type_.member) for _ in range(clients)]


@st.composite
def programs(draw: st.DrawFn, *, clients: Choices[int] = _CLIENTS) -> Program:
    """Computations built with all operators, and arguments for them.

    They take one to three values, the first of them at clients, and use local code, host code, functions of
    the language, other computations, sequences, strings, random keys, secure sums, selections and tiers.
    They give a result for all values that their parameters may have, except that there is no mean, minimum or
    maximum of no clients. The numbers in the arguments are so small that sums of floats are exact, and
    results can be compared.

    Args:
        draw: Given by hypothesis.
        clients: How many clients there may be.

    Returns:
        The strategy.
    """
    anywhere = [_members(sequences=True).map(at_clients), _members(sequences=False).map(at_server)]
    more = st.sampled_from([*anywhere, st.just(at_server(KEY))])
    types = [draw(anywhere[0]), *(draw(draw(more)) for _ in range(draw(st.integers(0, 2))))]
    bodies = (
        lambda a: _body(draw, a),
        lambda a, b: _body(draw, a, b),
        lambda a, b, c: _body(draw, a, b, c),
    )
    count = draw(st.sampled_from(clients))
    arguments = tuple(_argument(draw, type_, count) for type_ in types)
    return Program(computation(*types)(bodies[len(types) - 1]), arguments, count)
