# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What is found out about a model by trying it on small random batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from foedus.errors import ArgumentError, DataError, FoedusError, TracingError, failing_line, place
from foedus.frontends._compiled_quickly import compiled_quickly
from foedus.learning.models._model import Forward, Mode, ModelWeights
from foedus.types import STRING, Struct, Tensor, Type, pack, walk

ROWS = 8
KEPT = 4
"""The first rows, which are the same in all batches that are tried."""
_TOLERANCE = 1e-3
"""Rounding differs between shapes by far less, and what depends on the number of rows by about half."""

Run = Callable[[ModelWeights, Any, Any, Mode], Forward]


def find_coupling(
    element: Type,
    shapes: ModelWeights,
    start: Callable[[Any], ModelWeights],
    forward: Run,
    *,
    known: bool | None,
) -> bool:
    """Tries a model on random batches, and finds out whether the rows of a batch influence each other.

    They do if changing the last rows changes what the first ones give, the model's penalty or its other
    weights, or if leaving them out does.

    Args:
        element: The type of one example.
        shapes: The shapes of a model's weights.
        start: From a key (uint32[2]) to its weights; called if the answer is not known.
        forward: A model's.
        known: The answer, if it is known.

    Returns:
        Whether the rows are coupled.

    Raises:
        ArgumentError: If the loss is not one number an example.
        TracingError: If the model fails, or its examples have strings.
    """
    _require_numbers(element)
    key = np.array([0, 1], np.uint32)

    def outcome(key: Any, weights: Any, batch: Any) -> Any:
        found = forward(weights, in_containers(batch, element), key, Mode.TRAIN)
        return found.losses, (found.penalty, found.non_trainable)

    batch, other = (random_batch(element, seed) for seed in (0, 1))
    losses, _ = _tried(partial(jax.eval_shape, outcome, key, shapes), batch, element)
    _require_losses(losses.shape)
    if known is not None:
        return known

    def of_first_rows(key: Any, weights: Any, batch: Any) -> Any:
        losses, rest = outcome(key, weights, batch)
        return (losses[:KEPT], rest), outcome(key, weights, jax.tree.map(lambda a: a[:KEPT], batch))

    run = partial(compiled_quickly(of_first_rows), key, start(key))
    changed = jax.tree.map(lambda a, b: np.concatenate([a[:KEPT], b[KEPT:]]), batch, other)
    (found, of_fewer), (of_changed, _) = (_tried(run, given, element) for given in (batch, changed))
    return not (_equal(found, of_changed, tolerance=0) and _equal(found, of_fewer, tolerance=_TOLERANCE))


def _require_numbers(element: Type) -> None:
    if not any(isinstance(t, Tensor) and t.dtype == STRING for t in walk(element)):
        return
    raise TracingError(
        "A model takes numbers, and its examples have strings",
        found=element,
        expected="examples of numbers",
        at=place(),
        hint="make numbers of them in the clients' data: dataset.map(lambda x, y: (words(x), y)), where "
        "words is a keras.layers.StringLookup or TextVectorization, in place of that layer",
    )


def _equal(one: Any, other: Any, *, tolerance: float) -> bool:
    def close(a: Any, b: Any) -> bool:
        a, b = np.asarray(a, np.complex128), np.asarray(b, np.complex128)
        scale = np.max(np.abs(a), initial=0, where=np.isfinite(a))
        return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=tolerance * scale, equal_nan=True)

    return all(jax.tree.leaves(jax.tree.map(close, one, other)))


def _tried(run: Callable[[Any], Any], batch: Any, element: Type) -> Any:
    try:
        return run(batch)
    except FoedusError:
        raise
    except Exception as error:
        raise TracingError(
            f"The model fails on a batch of {len(jax.tree.leaves(batch)[0])} examples",
            found="\n".join(f"{type(error).__name__}: {error}".splitlines()[:3]),
            expected=f"functions for batches of {element}",
            at=failing_line(error) or place(),
        ) from error


def _require_losses(shape: tuple[int, ...]) -> None:
    if shape != (ROWS,):
        raise ArgumentError(
            "The loss is not one number an example",
            found=f"shape {list(shape)} for {ROWS} examples",
            expected=f"shape [{ROWS}]",
            at=place("loss"),
            hint="return the losses of the examples, without their mean; average other dimensions",
        )


def random_batch(element: Type, seed: int) -> Any:
    """A batch of random examples of a type, as nested tuples of arrays."""
    generator = np.random.default_rng(seed)

    def column(type_: Type) -> Any:
        match type_:
            case Struct(fields):
                return tuple(column(t) for _, t in fields)
            case Tensor(dtype, shape) if shape is not None and None not in shape:
                full = (ROWS, *(size or 0 for size in shape))
                if dtype.kind in "iub":
                    return generator.integers(0, 2, full).astype(dtype)
                return generator.standard_normal(full).astype(dtype)
            case _:
                raise DataError("A model needs examples of known shape", found=type_, at=place("example"))

    return column(element)


def in_containers(plain: Any, type_: Type) -> Any:
    """Puts columns of a batch into the containers of an example."""
    if not isinstance(type_, Struct):
        return plain
    return pack(type_, [in_containers(p, t) for (_, t), p in zip(type_.fields, plain, strict=True)])
