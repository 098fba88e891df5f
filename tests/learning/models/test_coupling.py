# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the rows of a batch influence each other is found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from foedus.learning import models

from ..small_models import CROSS_ENTROPY, FEATURES, initial, network

EXAMPLE = {"x": ("float32", (FEATURES,)), "y": "int32"}


def find(apply: Callable[..., Any], loss: Callable[..., Any] = CROSS_ENTROPY) -> bool:
    return models.from_jax(apply, init=initial(), loss=loss, example=EXAMPLE).coupled


def dropout(w: Any, x: Any, key: Any, training: bool) -> Any:
    return network(w, jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x * 2, 0) if training else x)


def convolution(w: Any, x: Any) -> Any:
    kernel = w["b1"][:3].reshape(3, 1, 1)
    channels_last = ("NWC", "WIO", "NWC")
    out = jax.lax.conv_general_dilated(x[..., None], kernel, (1,), "SAME", dimension_numbers=channels_last)
    return network(w, out[..., 0])


def batch_norm(w: Any, x: Any) -> Any:
    return network(w, (x - x.mean(axis=0)) / (1 + x.std(axis=0)))


def batch_norm_while_training(w: Any, x: Any, training: bool) -> Any:
    return batch_norm(w, x) if training else network(w, x)


def mixed_up(w: Any, x: Any, key: Any) -> Any:
    return network(w, (x + x[jax.random.permutation(key, x.shape[0])]) / 2)


def shrinking_with_rows(w: Any, x: Any) -> Any:
    return network(w, x) / x.shape[0]


def one_for_all(p: Any, y: Any) -> Any:
    return CROSS_ENTROPY(p, y) * 0 + CROSS_ENTROPY(p, y).mean()


def share_of_the_mean(p: Any, y: Any) -> Any:
    return CROSS_ENTROPY(p, y) / p.shape[0]


@pytest.mark.parametrize("apply", [network, dropout, convolution])
def test_rows_on_their_own(apply: Callable[..., Any]):
    assert not find(apply)


@pytest.mark.parametrize("apply", [batch_norm_while_training, mixed_up, shrinking_with_rows])
def test_rows_that_influence_each_other(apply: Callable[..., Any]):
    assert find(apply)


@pytest.mark.parametrize("loss", [one_for_all, share_of_the_mean])
def test_rows_coupled_by_the_loss(loss: Callable[..., Any]):
    assert find(network, loss)


@pytest.mark.parametrize("known", [True, False])
def test_who_knows_is_believed(known: bool):
    model = models.from_jax(batch_norm, init=initial(), loss=CROSS_ENTROPY, example=EXAMPLE, coupled=known)
    assert model.coupled is known
