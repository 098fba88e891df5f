# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes to compose: with and without a state, a change of placement, measurements."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

import foedus as fd
from foedus.lang import Computation
from foedus.process import Output, Process
from foedus.types import Type

CLIENTS_FLOAT = fd.at_clients(fd.float32)


@fd.computation
def nothing() -> Any:
    return fd.federated_value((), fd.SERVER)


@fd.computation
def zero() -> Any:
    return fd.federated_value(np.int32(0), fd.SERVER)


@fd.computation
def one() -> Any:
    return fd.federated_value(np.float32(1), fd.SERVER)


def made(initialize: Computation, *types: Type) -> Any:
    """A decorator that makes a function of a state and values a process."""

    def make(fn: Any) -> Process:
        return Process(initialize, fd.computation(initialize.type.result, *types)(fn))

    return make


@made(one, CLIENTS_FLOAT)
def scale(state: Any, value: Any) -> Any:
    """Clients to clients; doubles a factor every time, and measures it."""
    scaled = fd.federated_map(lambda v, s: v * s, (value, fd.federated_broadcast(state)))
    return Output(fd.federated_apply(lambda s: s * 2, state), scaled, state)


@made(zero, CLIENTS_FLOAT)
def average(state: Any, value: Any) -> Any:
    """Clients to server; counts steps, and measures two things that nobody zipped."""
    return Output(
        fd.federated_apply(lambda s: s + 1, state),
        fd.federated_mean(value),
        {"steps": state, "most": fd.federated_max(value)},
    )


@made(nothing, fd.at_server(fd.float32))
def negate(state: Any, value: Any) -> Any:
    """Server to server; no state, and no measurements at all."""
    return Output(state, fd.federated_apply(jnp.negative, value), ())


@made(nothing, fd.at_server(fd.float32))
def spread(state: Any, value: Any) -> Any:
    """Server to clients."""
    return Output(state, fd.federated_broadcast(value), state)


@made(zero, fd.at_clients(fd.to_type({"a": fd.int32, "b": fd.int32})))
def total(state: Any, value: Any) -> Any:
    """Clients to server, of a struct."""
    return Output(fd.federated_apply(lambda s: s - 1, state), fd.federated_sum(value), state)
