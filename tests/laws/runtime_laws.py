# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The laws of runtimes, as functions that return what breaks them: nothing, where a law holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import foedus as fd
from foedus import runtime
from foedus.data import Cohort, Ragged, cohort_of, map_columns
from foedus.errors import ExecutionError
from foedus.lang import Computation
from foedus.passes import inline, remove_dead_code, replace_intrinsics
from foedus.runtime._columns import Placed, Shelf, place_cohort
from foedus.testing import Program
from foedus.types import CLIENTS, Federated, Struct, Type, pack, parts_of

from .examples import Example, Ids, clients

Make = Callable[..., Any]
"""Makes a runtime, given ``clients`` and ``tiers``; some laws need one that counts in ``statistics``."""

BOUNDS = {
    # The spec's N4: rounding differs where XLA fuses and reorders inside one client's code.
    np.dtype(np.float64): 1e-12,
    np.dtype(np.complex128): 1e-12,
    np.dtype(np.float32): 1e-5,
    np.dtype(np.complex64): 1e-5,
    # Four units in the last place: half precision is rounded once an operation, or once for several.
    np.dtype(np.float16): 4 * float(np.finfo(np.float16).eps),
    np.dtype(ml_dtypes.bfloat16): 4 * float(ml_dtypes.finfo(ml_dtypes.bfloat16).eps),
}
"""How far apart floating point numbers may be, relative to the greatest of their array."""


def differences(expected: Any, found: Any, *, exact: bool = False, path: str = "result") -> Iterator[str]:
    """Where two results differ: in containers, dtypes, shapes or numbers.

    Args:
        expected: One.
        found: The other.
        exact: Whether floating point numbers are compared bit for bit too.
        path: What to call them.

    Yields:
        One line a difference.
    """
    inner, other = parts_of(expected), parts_of(found)
    if inner is not None or other is not None:
        if type(expected) is not type(found) or [n for n, _ in inner or ()] != [n for n, _ in other or ()]:
            yield f"{path}: {type(found).__name__} of {other}, not {type(expected).__name__} of {inner}"
            return
        for i, ((name, one), (_, two)) in enumerate(zip(inner or (), other or (), strict=True)):
            yield from differences(one, two, exact=exact, path=f"{path}.{name or i}")
        return
    one, two = np.asarray(expected), np.asarray(found)
    if one.dtype != two.dtype or one.shape != two.shape:
        yield f"{path}: {two.dtype}{list(two.shape)}, not {one.dtype}{list(one.shape)}"
        return
    bound = 0.0 if exact else BOUNDS.get(one.dtype, 0.0)
    if bound:
        wide = np.promote_types(one.dtype, np.float32) if one.dtype.kind != "V" else np.dtype(np.float32)
        one, two = one.astype(wide), two.astype(wide)
        scale = np.max(np.abs(one), initial=0, where=np.isfinite(one))
        # Numbers below the least normal one are rounded as if they were it: absolutely.
        least = np.finfo(one.dtype).tiny
        same = np.allclose(two, one, rtol=0, atol=bound * scale + least, equal_nan=True)
    else:
        same = one.tobytes() == two.tobytes() or np.array_equal(one, two, equal_nan=one.dtype.kind in "fc")
    if not same:
        yield f"{path}: {two.tolist()}, not {one.tolist()}"


def run(make: Make, example: Example, ids: Ids, arguments: tuple[Any, ...] | None = None) -> Any:
    """What an example gives in a new runtime."""
    with fd.use(make(clients=ids, tiers=example.tiers(ids))):
        return example.program(*(example.arguments(ids) if arguments is None else arguments))


def agrees(make: Make, example: Example, count: int) -> list[str]:
    """It gives what the reference gives, though it is given the clients in another order: integers and truth
    values bit for bit, floats within ``BOUNDS``.
    """
    ids = clients(count)
    expected = run(runtime.reference, example, ids)
    return list(
        differences(expected, run_in_another_order(make(clients=ids, tiers=example.tiers(ids)), example, ids))
    )


def agrees_on(make: Make, program: Program) -> list[str]:
    """A generated program gives what the reference gives, or neither runtime has a result for no clients.

    What is not used is left out for the reference, as a runtime may do, for it can be what has no result.
    """
    needed = Computation(remove_dead_code(inline(program.computation.node)), "needed")
    expected = outcome(runtime.reference, replace(program, computation=needed))
    return list(differences(expected, outcome(make, program)))


NOBODY = "a mean, minimum or maximum of no clients"


def outcome(make: Make, program: Program) -> Any:
    """The result of a program, or ``NOBODY`` where there is none because there are no clients."""
    try:
        return program.run(make)
    except ExecutionError as refusal:
        if program.clients or not re.fullmatch(r"\w+ of no (clients|members of \w+)", refusal.headline):
            raise
        return NOBODY


def ignores_order(make: Make, example: Example, count: int) -> list[str]:
    """The order in which clients are given changes no bit, but for the order of results at clients."""
    ids = clients(count)
    runtime = make(clients=ids, tiers=example.tiers(ids))
    expected = run(lambda **_: runtime, example, ids)
    return list(differences(expected, run_in_another_order(runtime, example, ids), exact=True))


def ignores_workers(make: Make, example: Example, count: int) -> list[str]:
    """However many workers share the clients, no bit changes."""
    ids = clients(count)
    alone = make(clients=ids, tiers=example.tiers(ids), workers=1)
    expected = run(lambda **_: alone, example, ids)
    found = []
    for workers in (2, 5):
        runtime = make(clients=ids, tiers=example.tiers(ids), workers=workers)
        given = run(lambda runtime=runtime, **_: runtime, example, ids)
        found += [f"{workers} workers: {d}" for d in differences(expected, given, exact=True)]
    return found


class OnDisk:
    """A column that is no array: what is read of it is counted."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self._rows = rows
        self.dtype, self.shape, self.nbytes = rows.dtype, rows.shape, rows.nbytes
        self.largest_read = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice) -> np.ndarray[Any, Any]:
        read = self._rows[which]
        self.largest_read = max(self.largest_read, read.nbytes)
        return read


def on_disk(value: Any) -> Any:
    """An argument whose columns are no arrays."""
    if not isinstance(value, Cohort):
        return value

    def moved(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(map(moved, part))
        return replace(part, columns=map_columns(OnDisk, part.columns)) if isinstance(part, Ragged) else part

    return replace(value, value=moved(value.value))


def reads_in_pieces(make: Make, example: Example, count: int) -> list[str]:
    """Data that are read in pieces give the same bits as data in memory."""
    ids = clients(count)
    runtime = make(clients=ids, tiers=example.tiers(ids))
    types = parameters(example)
    given = [
        as_cohort(v, t) if isinstance(t, Federated) and t.placement == CLIENTS else v
        for v, t in zip(example.arguments(ids), types, strict=True)
    ]
    with fd.use(runtime):
        expected = example.program(*given)
        rows = sum(one.bytes_to_read for one in placed_of([on_disk(v) for v in given]))
        with small_pieces(max(rows // 3, 1)):
            found = example.program(*map(on_disk, given))
    pieces = max((schedule.pieces for schedule in runtime.schedules), default=1)
    few = [f"read in {pieces} pieces"] if rows and pieces < 3 else []
    return few + list(differences(expected, found, exact=True))


def as_cohort(value: Any, type_: Federated) -> Cohort:
    return value if isinstance(value, Cohort) else cohort_of(value, type_.member)


def placed_of(values: list[Any]) -> list[Placed]:
    shelf = Shelf()
    return [place_cohort(v, v.order(), shelf) for v in values if isinstance(v, Cohort)]


@contextmanager
def small_pieces(size: int) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foedus.runtime._fused._PIECE_BYTES", size)
        yield


def run_in_another_order(runtime: Any, example: Example, ids: Ids) -> Any:
    """What an example gives if its arguments have their clients in another order; results are put in order
    again."""
    mixed = tuple(ids[i] for i in np.random.default_rng(0).permutation(len(ids)))
    given = zip(example.arguments(ids), parameters(example), strict=True)
    with fd.use(runtime):
        found = example.program(*[reordered(value, type_, mixed) for value, type_ in given])
    told = any(isinstance(t, Federated) and t.placement == CLIENTS for t in parameters(example))
    return in_order(found, example.program.type.result, [mixed.index(i) for i in ids]) if told else found


def reordered(value: Any, type_: Type, ids: Ids) -> Any:
    """An argument with its clients in another order."""
    if not isinstance(type_, Federated) or type_.placement != CLIENTS:
        return value
    if isinstance(value, Cohort):
        return value.take([value.ids.index(i) for i in ids])
    assert isinstance(value, Mapping)
    return {i: value[i] for i in ids}


def in_order(result: Any, type_: Type, order: list[int]) -> Any:
    """A result with its values at clients in another order."""
    match type_:
        case Federated(_, placement, all_equal) if placement == CLIENTS and not all_equal:
            fits = isinstance(result, list) and len(result) == len(order)
            return [result[i] for i in order] if fits else result
        case Struct(fields):
            parts = parts_of(result) or ()
            return pack(
                type_, [in_order(item, t, order) for (_, t), (_, item) in zip(fields, parts, strict=True)]
            )
        case _:
            return result


def parameters(example: Example) -> list[Type]:
    """The types of an example's arguments."""
    parameter = example.program.type.parameter
    if len(example.data) == 1 and parameter is not None:
        return [parameter]
    return [t for _, t in parameter.fields] if isinstance(parameter, Struct) else []


def logs_what_is_explained(example: Example, count: int) -> list[str]:
    """The reference logs exactly the crossings that ``explain`` lists."""
    ids = clients(count)
    reference = runtime.reference(clients=ids, tiers=example.tiers(ids))
    run(lambda **_: reference, example, ids)
    explained, logged = fd.explain(example.program).crossings, reference.crossings
    return [] if explained == logged else [f"explained {explained}", f"logged {logged}"]


def equals_its_expansion(example: Example, count: int) -> list[str]:
    """With the bodies of derived operators in their place, a program gives the same, to the last bit."""
    ids = clients(count)
    expanded = Computation(replace_intrinsics(example.program.node), example.name)
    other = replace(example, program=expanded)
    return list(
        differences(run(runtime.reference, example, ids), run(runtime.reference, other, ids), exact=True)
    )


def compiles_once(make: Make, example: Example, count: int) -> list[str]:
    """A second round compiles nothing."""
    ids = clients(count)
    counted = make(clients=ids, tiers=example.tiers(ids))
    with fd.use(counted):
        for _ in range(2):
            before = counted.statistics.compiled
            example.program(*example.arguments(ids))
    new = counted.statistics.compiled - before
    return [f"the second round compiled {new} programs"] if new else []


def calls_few_programs(make: Make, example: Example, count: int) -> list[str]:
    """A round calls at most one program at the server and one at clients for each level of reductions, and
    one more of each, however many clients there are.
    """
    reductions = [c for c in fd.explain(example.program).crossings if c.destination == "SERVER"]
    most = 2 * (len(reductions) + 1)
    calls = []
    for number in (min(n for n in example.counts if n > 1), count):
        ids = clients(number)
        counted = make(clients=ids, tiers=example.tiers(ids))
        with fd.use(counted):
            example.program(*example.arguments(ids))
        calls.append(counted.statistics.calls)
    if calls[0] != calls[1]:
        return [f"{calls[0]} calls for few clients, {calls[1]} for {count}"]
    return [f"{calls[0]} calls, {most} allowed"] if calls[0] > most else []


def compiles_few_programs_for_new_cohorts(make: Make, program: Computation, most: int) -> list[str]:
    """However the cohorts of a population differ, few programs are compiled: ``most``."""
    rng = np.random.default_rng(0)
    sizes = rng.permutation(40)  # No two clients have equally many elements.
    member = to_type_of_clients(program)
    population = cohort_of(
        {int(i): rng.integers(0, 9, n, dtype=np.int32) for i, n in enumerate(sizes)}, member
    )
    counted = make()
    with fd.use(counted):
        for _ in range(12):
            program(population.take(rng.choice(40, 5, replace=False)))
    found = counted.statistics.compiled
    return (
        [f"{found} programs compiled for cohorts of one population, {most} allowed"] if found > most else []
    )


def to_type_of_clients(program: Computation) -> Type:
    """The type of one client's value, of a program whose argument is at clients."""
    assert isinstance(program.type.parameter, Federated)
    return program.type.parameter.member
