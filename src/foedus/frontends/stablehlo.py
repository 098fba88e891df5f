# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Loaded leaves: local code that was written to bytes as StableHLO, and runs where its source is not.

They are transport: they run, natively and inside compiled programs, on the CPU, on NVIDIA GPUs and on TPUs,
but what they are made of is lost. So they cannot be differentiated, and ``jax.vmap`` of one is a loop over
the rows; nothing is traced into them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import custom_batching, export

from foedus.errors import CorruptDataError, FoedusError, TracingError, UnsupportedError, place
from foedus.foreign import Encoded, Nature, NoJax, Running, Way
from foedus.frontends._jax_calling import Demand, flat_arguments, from_flat, to_flat
from foedus.frontends._jax_export import CONVENTION, HEAD, MOST_LEAST_ROWS
from foedus.ir import Foreign
from foedus.types import STRING, Function, Sequence, Struct, Tensor, Type, walk

__all__ = ["KIND"]

_NAME = "stablehlo"
_SAMPLE = 3
"""The length that stands for unknown ones where a leaf is examined."""

_HARMLESS_CALLS = frozenset(
    {
        "shape_assertion",
        "stablehlo.dynamic_approx_top_k",
        "stablehlo.dynamic_reduce_window",
        "stablehlo.dynamic_rng_bit_generator",
        "stablehlo.dynamic_top_k",
    }
)
"""Targets that the compiler itself replaces; all others are native code that trusts what it is given."""
_CALL = re.compile(r"\bcustom_call\b(?: @\"?([\w.$]+)\"?\()?")
_OUTSIDE = re.compile(r"\bstablehlo\.(infeed|outfeed|send|recv)\b")


@dataclass(frozen=True, eq=False)
class LoadedFunction:
    """The payload of a loaded leaf.

    Args:
        exported: What ``jax.export`` read.
        data: The bytes that it was read from.
        type: The leaf's type.
        demand: What it asks of sequences.
    """

    exported: export.Exported
    data: bytes
    type: Function
    demand: Demand
    compiled: Callable[..., Any] = field(init=False, repr=False)
    looped: Callable[..., Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", jax.jit(self.exported.call))
        # An exported function has no rule for batching; one call after another is one.
        object.__setattr__(self, "looped", custom_batching.sequential_vmap(self.exported.call))

    def arguments(self, plain: Any) -> list[Any]:
        """The flat arguments of a call."""
        if self.type.parameter is None:
            return []
        flat = to_flat(plain, self.type.parameter, self.demand)
        for array, aval in zip(flat, self.exported.in_avals, strict=True):
            lengths = zip(np.shape(array), aval.shape, strict=True)
            if any(length == 0 and export.is_symbolic_dim(size) for length, size in lengths):
                raise UnsupportedError(
                    "A loaded leaf takes no empty array where its type leaves the length open",
                    found=f"{aval.dtype}{list(np.shape(array))}",
                    at=place("the argument of a loaded leaf"),
                )
        return flat


@final
class StablehloKind:
    """Implements ``foedus.foreign.Kind`` for leaves that were loaded."""

    nature = Nature.LOADED

    def trace(self, fn: Callable[..., Any], parameter: Type | None, *, way: Way | None = None) -> Foreign:
        """See ``Kind.trace``: there is nothing to trace."""
        raise TracingError(
            "Python functions are not traced to the kind 'stablehlo', which is that of loaded leaves",
            found=getattr(fn, "__name__", repr(fn)),
            at=place(),
            hint="trace it with the kind 'jax', and write the program to bytes",
        )

    def run(self, payload: LoadedFunction, argument: Any) -> Any:
        """See ``Kind.run``: compiled once for each shape; sequences fall into few shapes."""
        with jax.enable_x64(True):
            results = payload.compiled(*payload.arguments(argument))
            return from_flat(iter([np.asarray(array) for array in results]), payload.type.result)

    def running(self, payload: LoadedFunction) -> tuple[Running, ...]:
        """See ``Kind.running``: it is compiled like any code of JAX."""
        return ()

    def as_jax(self, payload: LoadedFunction) -> Callable[[Any], Any] | NoJax:
        """See ``Kind.as_jax``: for ``jax.jit`` and loops; ``jax.vmap`` loops, and there is no gradient."""
        return partial(_call, payload)

    def encode(self, payload: LoadedFunction, type_: Function) -> Encoded:
        """See ``Kind.encode``: the bytes that it was loaded from."""
        return Encoded(_NAME, payload.data)

    def decode(self, data: bytes, type_: Function) -> Foreign:
        """See ``Kind.decode``.

        What ``jax.export`` reads may end the process if it was made up: read only what comes from a sender
        that you trust, or was read in a child process before.
        """
        _require_flat(type_)
        if len(data) < HEAD.size:
            _refuse(type_, f"{len(data)} bytes")
        convention, least_rows, repeats = HEAD.unpack_from(data)
        if convention != CONVENTION:
            _refuse(type_, f"calling convention {convention}", hint="install a newer version of Foedus")
        if not 1 <= least_rows <= MOST_LEAST_ROWS or repeats > 1:
            _refuse(type_, f"{least_rows} spare rows, and {repeats} for a truth value")
        try:
            exported = export.deserialize(bytearray(data[HEAD.size :]))
            found = _difference(exported, type_)
        except FoedusError:
            raise
        except Exception as error:
            raise _broken(type_, f"{type(error).__name__}: {error}") from error
        if found is not None:
            _refuse(type_, found)
        digest = hashlib.sha256(f"{_NAME}\0{type_}\0".encode("utf-8", "surrogatepass") + data).hexdigest()
        return Foreign(
            _NAME, LoadedFunction(exported, data, type_, Demand(least_rows, bool(repeats))), type_, digest
        )

    def examine(self, payload: LoadedFunction, type_: Function) -> None:
        """See ``Kind.examine``: parses the code, refuses native calls, and compiles it for the CPU."""
        try:
            _require_closed(payload.exported.mlir_module())
            _compile(payload)
        except FoedusError:
            raise
        except Exception as error:
            raise _broken(type_, f"{type(error).__name__}: {error}") from error


def _call(payload: LoadedFunction, plain: Any) -> Any:
    flat = [jnp.asarray(array) for array in payload.arguments(plain)]
    return from_flat(iter(payload.looped(*flat)), payload.type.result)


def _broken(type_: Function, found: str) -> CorruptDataError:
    return CorruptDataError(
        "The stored leaf cannot be read",
        found=found[:1000],
        expected=f"code of type {type_}",
        at=place(),
    )


def _refuse(type_: Function, found: str, hint: str | None = None) -> NoReturn:
    error = _broken(type_, found)
    error.hint = hint
    raise error


def _require_flat(type_: Function) -> None:
    """Refuses types that no leaf of this kind has, before anything is made for them."""
    parts = [part for t in (type_.parameter, type_.result) if t is not None for part in walk(t)]
    for part in parts:
        tensor = isinstance(part, Tensor) and part.dtype != STRING and part.shape is not None
        if not tensor and not isinstance(part, Struct | Sequence):
            _refuse(type_, f"{part}, which no such leaf can take or give")
    if any(isinstance(part, Sequence) for part in walk(type_.result)):
        _refuse(type_, "a sequence as its result")


def _difference(exported: export.Exported, type_: Function) -> str | None:
    """What makes an exported function another one than a leaf of this type, or None."""
    if exported.nr_devices != 1 or exported.ordered_effects or exported.unordered_effects:
        return "code for several devices, or with effects"
    if exported.disabled_safety_checks or exported.has_vjp():
        return "code with safety checks switched off, or with a gradient"
    wanted = [] if type_.parameter is None else list(_open_arguments(type_.parameter))
    given = [(aval.dtype, aval.shape) for aval in exported.in_avals]
    if len(wanted) != len(given) or exported.in_tree != jax.tree.structure(((0,) * len(wanted), {})):
        return f"{len(given)} arrays as argument where {len(wanted)} should be"
    for (dtype, shape), (found_dtype, found_shape) in zip(wanted, given, strict=True):
        if dtype != found_dtype or not _fits(shape, found_shape, symbols=True):
            return f"the argument {found_dtype}{list(found_shape)} where {dtype}{list(shape)} should be"
    results = [t for t in walk(type_.result) if isinstance(t, Tensor)]
    gives = [(aval.dtype, aval.shape) for aval in exported.out_avals]
    if len(results) != len(gives) or exported.out_tree != jax.tree.structure((0,) * len(results)):
        return f"{len(gives)} arrays as result where {len(results)} should be"
    for tensor, (found_dtype, found_shape) in zip(results, gives, strict=True):
        if tensor.dtype != found_dtype or not _fits(tensor.shape or (), found_shape, symbols=False):
            return f"the result {found_dtype}{list(found_shape)} where {tensor} should be"
    return None


def _open_arguments(parameter: Type) -> Any:
    return flat_arguments(parameter, unknown=lambda: None, entries=lambda *_: None, offsets=lambda _: None)


def _fits(wanted: tuple[object, ...], found: tuple[Any, ...], *, symbols: bool) -> bool:
    """Whether known lengths are equal, and open ones symbols, or anything at all."""
    return len(wanted) == len(found) and all(
        not symbols or export.is_symbolic_dim(have) if want is None else want == have
        for want, have in zip(wanted, found, strict=True)
    )


def _require_closed(text: str) -> None:
    """Refuses code that calls what stands outside of it."""
    outside = sorted({found.group(1) for found in _OUTSIDE.finditer(text)})
    calls = {found.group(1) or "unknown" for found in _CALL.finditer(text)}
    native = sorted(calls - _HARMLESS_CALLS)
    if not outside and not native:
        return
    raise UnsupportedError(
        "A leaf of a sender that is not trusted calls what stands outside of it",
        found=", ".join([*native[:8], *outside])[:1000],
        expected="plain StableHLO: native code, such as that for linear algebra, trusts what it is given",
        at=place(),
        hint="decode it as from a trusted sender, if you do trust it",
    )


def _compile(payload: LoadedFunction) -> None:
    parameter = payload.type.parameter
    arguments = [] if parameter is None else list(
        flat_arguments(
            parameter,
            unknown=lambda: _SAMPLE,
            entries=lambda *_: payload.demand.least_rows + _SAMPLE,
            offsets=lambda _: _SAMPLE,
        )
    )  # fmt: skip
    with jax.enable_x64(True):
        shapes = [jax.ShapeDtypeStruct(shape, dtype) for dtype, shape in arguments]
        lowered = jax.jit(payload.exported.call).lower(*shapes)
        lowered.compile({"xla_backend_optimization_level": "0"})


KIND = StablehloKind()
