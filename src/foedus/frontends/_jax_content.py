# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a trace computes, as bytes: equal bytes are equal code."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

_ADDRESS = re.compile(r" at 0x[0-9a-fA-FX]+")
_callbacks = itertools.count()


def content_of(traced: ClosedJaxpr) -> bytes:
    """The content of a trace.

    Its text says all but the values of arrays, in it and in the functions inside it, the TensorFlow code that
    it embeds or calls back, and what Python code does that it calls back. Nobody can tell the last, so two
    traces with such code are never equal.

    Args:
        traced: What ``jax.make_jaxpr`` gave.

    Returns:
        The content.
    """
    text = _ADDRESS.sub("", str(traced)).encode()
    return text + b"".join(_hidden(traced))


def _hidden(traced: ClosedJaxpr) -> Iterator[bytes]:
    yield from map(_array_bytes, traced.consts)
    yield from _hidden_inside(traced.jaxpr)


def _hidden_inside(jaxpr: Jaxpr) -> Iterator[bytes]:
    for equation in jaxpr.eqns:
        literals = (v.val for v in equation.invars if isinstance(v, Literal))
        yield from (_array_bytes(value) for value in literals if np.ndim(value))
        if "callback" in equation.primitive.name:
            yield _called_back(equation.params)
        if equation.primitive.name == "call_tf":
            yield _tensorflow_code(equation.params)
        for part in _parts(equation.params):
            yield from _hidden(part) if isinstance(part, ClosedJaxpr) else _hidden_inside(part)


def _unlike_others() -> bytes:
    return f"\0callback {next(_callbacks)}".encode()


def _called_back(parameters: dict[str, Any]) -> bytes:
    """The content of what is called back, if that knows it; see ``_host_call``."""
    content = getattr(parameters.get("callback"), "content", None)
    return (None if content is None else content()) or _unlike_others()


def _tensorflow_code(parameters: dict[str, Any]) -> bytes:
    from foedus.frontends._tensorflow_graph import content_of_call

    return content_of_call(parameters) or _unlike_others()


def _parts(value: Any) -> Iterator[ClosedJaxpr | Jaxpr]:
    """The functions inside an equation's parameters."""
    if isinstance(value, ClosedJaxpr | Jaxpr):
        yield value
    elif isinstance(value, dict | tuple | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parts(item)


def _array_bytes(value: Any) -> bytes:
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    array = np.asarray(jax.random.key_data(value) if is_key else value)
    return f"\0{array.dtype}{array.shape}".encode() + array.tobytes()
