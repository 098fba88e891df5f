# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The JAX front end: plain Python functions over arrays, structs and sequences as local code.

Functions are traced and run with 64-bit types enabled, so that a dtype is what the type says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from foedus.data import Elements, Ragged, Span, empty_columns, flat_columns, has_rows, map_columns
from foedus.errors import CorruptDataError, FoedusError, TracingError, failing_line, place
from foedus.foreign import Encoded, Nature, NoJax, Running, Way
from foedus.frontends._authorship import require_no_way
from foedus.frontends._embedded import Embedded, noting, require_travelling
from foedus.frontends._jax_constants import frozen, warn_of_large
from foedus.frontends._jax_content import content_of
from foedus.frontends._jax_export import BoundedSequence, OpenLengths, export_leaf
from foedus.frontends._spreading import spreads
from foedus.ir import Foreign
from foedus.sequences import EagerSequence, FlatSequence, Sequence
from foedus.types import (
    STRING,
    Function,
    Struct,
    Tensor,
    Type,
    container_of,
    field_path,
    pack,
    parts_of,
    walk,
)
from foedus.types import Sequence as SequenceType

__all__ = ["KIND", "Sequence"]

_PROBES = (3, 5)
"""Lengths tried for an unknown dimension: what differs in the results depends on it."""


@dataclass(frozen=True, slots=True, eq=False)
class JaxFunction:
    """The payload of a leaf: a pure Python function, traced anew for each set of shapes, as ``jax.jit`` does.

    Args:
        fn: The user's function.
        parameter: The type of its argument, None where it takes none.
        spread: Whether it takes the fields of its argument one by one.
    """

    fn: Callable[..., Any]
    parameter: Type | None
    spread: bool
    embedded: list[Embedded] = field(default_factory=list[Embedded], repr=False)
    """The code of other frameworks that it calls, known once it was traced."""

    def call(self, plain: Any) -> Any:
        """Applies the function to a plain argument; the result is in the user's containers."""
        if self.parameter is None:
            return self.fn()
        if not self.spread:
            return self.fn(_to_user(plain, self.parameter))
        assert isinstance(self.parameter, Struct)
        items = zip(self.parameter.fields, plain, strict=True)
        return self.fn(*(_to_user(item, t) for (_, t), item in items))


def _to_user(plain: Any, type_: Type) -> Any:
    match plain:
        case Elements() if isinstance(type_, SequenceType):
            return EagerSequence.of(plain, partial(_to_user, type_=type_.element))
        case Span() if isinstance(type_, SequenceType):
            sequence = FlatSequence.of(plain, partial(_to_user, type_=type_.element))
            hints = plain.hints
            return BoundedSequence(sequence, hints) if isinstance(hints, OpenLengths) else sequence
        case Sequence() if isinstance(type_, SequenceType):
            return plain.map(partial(_to_user, type_=type_.element))
        case tuple() if isinstance(type_, Struct):
            return pack(type_, [_to_user(p, t) for (_, t), p in zip(type_.fields, plain, strict=True)])
        case _:
            return jnp.asarray(plain)


def _to_plain(value: Any) -> Any:
    """Takes the user's containers off a result."""
    parts = parts_of(value)
    if parts is not None:
        return tuple(_to_plain(item) for _, item in parts)
    array = jnp.asarray(value)
    return jnp.asarray(array, dtype=array.dtype)


def _result_type(value: Any, path: str = "") -> Type:
    if isinstance(value, Sequence):
        raise TracingError("Local code in JAX cannot return a sequence", at=place(path), hint="fold it")
    parts = parts_of(value)
    if parts is not None:
        named = enumerate(parts)
        fields = tuple((name, _result_type(item, path + field_path(i, name))) for i, (name, item) in named)
        return Struct(fields, container_of(value))
    try:
        array = jnp.asarray(value)
        return Tensor(np.dtype(array.dtype), tuple(array.shape))
    except TypeError as error:
        raise TracingError(
            "Local code in JAX returns what is no array",
            found=f"{type(value).__name__}: {value!r}"[:120],
            at=place(f"{path} of the result" if path else "the result"),
        ) from error


class _ProbeHints:
    """Lengths for a trace that only asks for types.

    Args:
        rows: The length of everything; of columns, that nobody sees as a whole, too.

    Attributes:
        asked: Whether the trace may depend on it.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked = False

    @property
    def length(self) -> int:
        """The length of what a function sees."""
        self.asked = True
        return self.rows

    def counts(self) -> tuple[int, ...]:
        return (self.length,)

    def derived(self, of: Callable[[int], Iterable[int]]) -> tuple[int, ...]:
        return tuple(sorted({value for count in self.counts() for value in of(count)}))

    def row_sizes(self) -> tuple[int, ...]:
        return (self.length,)

    def most_rows(self) -> int:
        return self.length

    def slack(self) -> int:
        return 0


def _probe(type_: Type, hints: _ProbeHints) -> Any:
    """Abstract arguments of a type; sequences as the arrays that ``_rebuild`` makes them of."""
    match type_:
        case Tensor(dtype, shape):
            if dtype == STRING:
                raise TracingError(
                    "JAX has no strings", found=type_, at=place(), hint="turn strings into numbers before"
                )
            if shape is None:
                raise TracingError("JAX needs to know the rank of an array", found=type_, at=place())
            return jax.ShapeDtypeStruct(
                tuple(hints.length if size is None else size for size in shape), dtype
            )
        case Struct(fields):
            return tuple(_probe(t, hints) for _, t in fields)
        case SequenceType(element):
            rows = tuple(
                jax.ShapeDtypeStruct((hints.rows, *column.shape[1:]), column.dtype)
                for column in flat_columns(empty_columns(element))
            )
            scalar = jax.ShapeDtypeStruct((), np.int32)
            return rows, scalar, scalar, jax.ShapeDtypeStruct((hints.rows + 1,), np.int32)
        case _:
            raise TracingError("Local code takes plain values only", found=type_, at=place())


def _rebuild(probed: Any, type_: Type, hints: _ProbeHints) -> Any:
    match type_:
        case Struct(fields):
            return tuple(_rebuild(p, t, hints) for (_, t), p in zip(fields, probed, strict=True))
        case SequenceType(element):
            rows, first, count, offsets = probed
            supply = iter(rows)
            columns = map_columns(lambda _: next(supply), empty_columns(element))
            ragged = Ragged(element, columns, first, count, offsets if has_rows(element) else None)
            return Span(ragged, first, count, (), hints)
        case _:
            return probed


@final
class JaxKind:
    """Implements ``foedus.foreign.Kind`` for JAX."""

    nature = Nature.TRACED

    def trace(self, fn: Callable[..., Any], parameter: Type | None, *, way: Way | None = None) -> Foreign:
        """See ``Kind.trace``."""
        require_no_way("jax", way)
        if any(isinstance(t, Tensor) and t.dtype == STRING for t in walk(parameter)) if parameter else False:
            raise TracingError("JAX has no strings", found=parameter, at=place())
        payload = JaxFunction(frozen(fn), parameter, spreads(fn, parameter))
        with noting() as embedded:
            first = _ProbeHints(_PROBES[0])
            result, content = _trace_once(payload, first)
        payload.embedded.extend(embedded)
        if first.asked:
            other, more = _trace_once(payload, _ProbeHints(_PROBES[1]))
            result, content = _join(result, other), content + more
        type_ = Function(parameter, result)
        digest = hashlib.sha256(f"jax\0{type_}\0".encode() + content).hexdigest()
        return Foreign("jax", payload, type_, digest)

    def run(self, payload: JaxFunction, argument: Any) -> Any:
        """See ``Kind.run``: operation by operation, in Python."""
        with jax.enable_x64(True):
            result = _to_plain(payload.call(argument))
            return jax.tree.map(np.asarray, result)

    def running(self, payload: JaxFunction) -> tuple[Running, ...]:
        """See ``Kind.running``: what it calls of other frameworks."""
        return tuple(piece.running for piece in payload.embedded)

    def as_jax(self, payload: JaxFunction) -> Callable[[Any], Any] | NoJax:
        """See ``Kind.as_jax``."""
        return partial(_call_plain, payload)

    def encode(self, payload: JaxFunction, type_: Function) -> Encoded:
        """See ``Kind.encode``: as StableHLO, which is a kind of its own."""
        for piece in payload.embedded:
            require_travelling(piece)
        return Encoded("stablehlo", export_leaf(partial(_call_plain, payload), type_))

    def decode(self, data: bytes, type_: Function) -> Foreign:
        """See ``Kind.decode``: nothing is written under the name of this kind."""
        raise CorruptDataError(
            "No bytes hold a leaf of the kind 'jax'", expected="the kind 'stablehlo'", at=place()
        )

    def examine(self, payload: JaxFunction, type_: Function) -> None:
        """See ``Kind.examine``."""
        raise AssertionError("a leaf of the kind 'jax' is never decoded; please report")


def _call_plain(payload: JaxFunction, plain: Any) -> Any:
    return _to_plain(payload.call(plain))


def _trace_once(payload: JaxFunction, hints: _ProbeHints) -> tuple[Type, bytes]:
    """The result's type and the content of a trace, with the same for all lengths that are not known."""
    types: list[Type] = []

    def flat(probed: Any) -> Any:
        parameter = payload.parameter
        value = payload.call(None if parameter is None else _rebuild(probed, parameter, hints))
        types.append(_result_type(value))
        return _to_plain(value)

    with jax.enable_x64(True):
        probed = None if payload.parameter is None else _probe(payload.parameter, hints)
        try:
            jaxpr = jax.make_jaxpr(flat)(probed)
        except FoedusError:
            raise
        except Exception as error:
            raise TracingError(
                f"JAX cannot trace {getattr(payload.fn, '__name__', 'the function')!r}",
                found=f"{type(error).__name__}: {_first_lines(error)}",
                expected=f"a function of {payload.parameter}" if payload.parameter else "a function",
                at=failing_line(error) or place(),
            ) from error
    warn_of_large(jaxpr.consts, getattr(payload.fn, "__name__", "a function"))
    return types[-1], content_of(jaxpr)


def _first_lines(error: Exception) -> str:
    """What an error says, without where in Foedus JAX was called."""
    text = str(error).split("\nThe error occurred while tracing")[0]
    return "\n".join(line for line in text.splitlines()[:4] if line.strip())


def _join(one: Type, other: Type) -> Type:
    """The type of results whose dimensions differ where they depend on an unknown length."""
    match one, other:
        case Tensor(dtype, shape), Tensor(_, shape_2) if shape is not None and shape_2 is not None:
            if len(shape) != len(shape_2):
                raise TracingError("The rank of a result depends on the length of an argument", at=place())
            return Tensor(dtype, tuple(a if a == b else None for a, b in zip(shape, shape_2, strict=True)))
        case Struct(fields, container), Struct(fields_2):
            joined = zip(fields, fields_2, strict=True)
            return Struct(tuple((name, _join(t, t_2)) for (name, t), (_, t_2) in joined), container)
        case _:
            raise TracingError("The result's type depends on the length of an argument", at=place())


KIND = JaxKind()
