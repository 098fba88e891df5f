# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging of two models that nobody tuned for, beside loops by hand: prints one JSON line.

- transformer: 2 layers of width 64 with 4 heads over sequences of 32 tokens, which predicts the next token;
- towers: a recommender, an embedding and a small network for users and one for items, which predicts clicks.

Both run through Foedus, and through JAX without a framework: the clients' data lie on the device end to end
and are read by offset, and a round is one compiled call, or one a thread with an equal share of the clients.
The three take turns, round by round. The script fails if their final weights differ by more than rounding.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from this_machine import cores

from foedus import learning, simulation

Array = np.ndarray[Any, Any]
Weights = Any
_CLOSE = 1e-4
"""How far final weights may be apart, relative to how far training moved them."""
_VOCABULARY, _LENGTH, _WIDTH, _HEADS, _LAYERS = 96, 32, 64, 4, 2
_USERS, _ITEMS, _GENRES, _FACTORS, _HIDDEN = 200, 2000, 16, 32, 64


@dataclass(frozen=True)
class Case:
    """A model with its data.

    Args:
        apply: From weights and features to predictions.
        loss: From predictions and labels to one loss an example.
        weights: The initial weights.
        columns: The examples of all clients, end to end; the label is called ``y``.
        offsets: Where each client begins, and the end of the last.
        cohort: Clients a round.
        rate: The clients' learning rate.
        batch: Examples in a batch.
    """

    apply: Callable[[Weights, Any], Any]
    loss: Callable[[Any, Any], Any]
    weights: Weights
    columns: dict[str, Array]
    offsets: Array
    cohort: int
    rate: float
    batch: int

    def drawn(self, number: int) -> Array:
        """The clients of a round, in order."""
        chosen = np.random.RandomState(number).choice(len(self.offsets) - 1, self.cohort, replace=False)
        return np.sort(chosen)


# ---------------------------------------------------------------- the transformer


def _normed(x: Any, scale: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, -1, keepdims=True) + 1e-5) * scale


def _attention(weights: Any, x: Any) -> Any:
    rows, length, width = x.shape
    q, k, v = (
        part.reshape(rows, length, _HEADS, -1).swapaxes(1, 2)
        for part in jnp.split(x @ weights["qkv"], 3, axis=-1)
    )
    scores = q @ k.swapaxes(2, 3) / np.float32(np.sqrt(width // _HEADS))
    seen = np.tril(np.ones((length, length), bool))
    mixed = jax.nn.softmax(jnp.where(seen, scores, np.float32(-1e9))) @ v
    return mixed.swapaxes(1, 2).reshape(rows, length, width) @ weights["out"]


def transformer_apply(weights: Weights, tokens: Any) -> Any:
    """Logits of the next token at every place."""
    x = weights["tokens"][tokens] + weights["places"]
    for layer in weights["layers"]:
        x = x + _attention(layer, _normed(x, layer["scale_1"]))
        inner = jax.nn.gelu(_normed(x, layer["scale_2"]) @ layer["up"] + layer["bias"])
        x = x + inner @ layer["down"]
    return _normed(x, weights["scale"]) @ weights["tokens"].T


def transformer() -> Case:
    """40 clients with 20 to 60 sequences each, of chains with a few next tokens for each token."""
    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(random.integers(20, 61, 40))])
    likely = random.integers(0, _VOCABULARY, (_VOCABULARY, 3))
    tokens = np.empty((offsets[-1], _LENGTH + 1), np.int32)
    tokens[:, 0] = random.integers(0, _VOCABULARY, len(tokens))
    for place in range(_LENGTH):
        tokens[:, place + 1] = likely[tokens[:, place], random.integers(0, 3, len(tokens))]

    def normal(*shape: int) -> Array:
        return random.normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    def layer() -> dict[str, Array]:
        return {
            "qkv": normal(_WIDTH, 3 * _WIDTH),
            "out": normal(_WIDTH, _WIDTH),
            "up": normal(_WIDTH, 4 * _WIDTH),
            "bias": np.zeros(4 * _WIDTH, np.float32),
            "down": normal(4 * _WIDTH, _WIDTH),
            "scale_1": np.ones(_WIDTH, np.float32),
            "scale_2": np.ones(_WIDTH, np.float32),
        }

    weights = {
        "tokens": 0.1 * normal(_VOCABULARY, _WIDTH),
        "places": 0.1 * normal(_LENGTH, _WIDTH),
        "layers": [layer() for _ in range(_LAYERS)],
        "scale": np.ones(_WIDTH, np.float32),
    }

    def loss(logits: Any, labels: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(1)

    columns = {"x": tokens[:, :-1].copy(), "y": tokens[:, 1:].copy()}
    return Case(transformer_apply, loss, weights, columns, offsets, cohort=20, rate=0.1, batch=8)


# ---------------------------------------------------------------- the two towers


def _tower(weights: Any, x: Any) -> Any:
    return jax.nn.relu(x @ weights["hidden"] + weights["bias"]) @ weights["output"]


def towers_apply(weights: Weights, features: Any) -> Any:
    """The logit of a click."""
    user = _tower(weights["user_tower"], weights["users"][features["user"]])
    described = [weights["items"][features["item"]], weights["genres"][features["genre"]]]
    item = _tower(weights["item_tower"], jnp.concatenate(described, -1))
    return jnp.sum(user * item, -1)


def towers() -> Case:
    """200 clients, each a user with 10 to 80 items that were clicked or not."""
    random = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(random.integers(10, 81, _USERS))])
    users = np.repeat(np.arange(_USERS, dtype=np.int32), np.diff(offsets))
    items = random.integers(0, _ITEMS, len(users)).astype(np.int32)
    genres = (items % _GENRES).astype(np.int32)
    tastes = random.normal(size=(_USERS, _GENRES))
    clicked = tastes[users, genres] + 0.5 * random.normal(size=len(users)) > 0

    def normal(*shape: int, scale: float = 0.1) -> Array:
        return random.normal(0, scale, shape).astype(np.float32)

    def tower(inputs: int) -> dict[str, Array]:
        return {
            "hidden": normal(inputs, _HIDDEN, scale=inputs**-0.5),
            "bias": np.zeros(_HIDDEN, np.float32),
            "output": normal(_HIDDEN, _FACTORS, scale=_HIDDEN**-0.5),
        }

    weights = {
        "users": normal(_USERS, _FACTORS),
        "items": normal(_ITEMS, _FACTORS),
        "genres": normal(_GENRES, _FACTORS),
        "user_tower": tower(_FACTORS),
        "item_tower": tower(2 * _FACTORS),
    }
    columns = {"user": users, "item": items, "genre": genres, "y": clicked.astype(np.float32)}
    loss = optax.sigmoid_binary_cross_entropy
    return Case(towers_apply, loss, weights, columns, offsets, cohort=50, rate=0.5, batch=16)


CASES = {"transformer": transformer, "towers": towers}

# ---------------------------------------------------------------- the ways to run them

Rounds = Callable[[int], Weights]
"""From the number of a round to the weights after it; rounds are asked for in order."""


def by_foedus(case: Case) -> Rounds:
    """As a user of Foedus writes it."""
    owners = np.repeat(np.arange(len(case.offsets) - 1), np.diff(case.offsets))
    data = simulation.ClientData.from_arrays(case.columns, owners)
    model = learning.models.from_jax(
        case.apply, init=case.weights, loss=case.loss, example=data.element_type, coupled=False
    )
    process = learning.algorithms.fed_avg(
        model,
        client_optimizer=optax.sgd(case.rate),
        batches=learning.Batches(size=case.batch, shuffle=False),
    )
    state = process.initialize()

    def next_round(number: int) -> Weights:
        nonlocal state
        cohort = data.cohort(case.drawn(number).tolist())
        state = jax.block_until_ready(process.next(state, cohort).state)
        return process.model_of(state)

    return next_round


def _sum_over_clients(case: Case) -> Callable[..., Weights]:
    """From weights, columns, and clients' first examples and counts to the sum of what training changed."""
    apply, loss, rate, batch = case.apply, case.loss, case.rate, case.batch

    def trained(start: Weights, columns: Any, first: Any, count: Any) -> Weights:
        def step(number: Any, weights: Weights) -> Weights:
            at = number * batch
            rows = {
                name: lax.dynamic_slice_in_dim(column, first + at, batch) for name, column in columns.items()
            }
            labels = rows.pop("y")
            features = rows.get("x", rows)
            real = at + jnp.arange(batch) < count

            def mean_loss(weights: Weights) -> Any:
                return jnp.where(real, loss(apply(weights, features), labels), 0).sum() / real.sum()

            return jax.tree.map(lambda w, g: w - rate * g, weights, jax.grad(mean_loss)(weights))

        return lax.fori_loop(0, (count + batch - 1) // batch, step, start)

    @jax.jit
    def summed(weights: Weights, columns: Any, first: Any, count: Any) -> Weights:
        def add(total: Weights, own: Any) -> tuple[Weights, None]:
            after = trained(weights, columns, *own)
            examples = own[1].astype(jnp.float32)
            return jax.tree.map(lambda t, w, s: t + examples * (w - s), total, after, weights), None

        return lax.scan(add, jax.tree.map(jnp.zeros_like, weights), (first, count))[0]

    return summed


def by_hand(case: Case, threads: int) -> Rounds:
    """Without a framework: every thread calls one compiled program for its share of the clients."""
    summed = _sum_over_clients(case)
    spare = {name: np.zeros((case.batch, *c.shape[1:]), c.dtype) for name, c in case.columns.items()}
    resident = {name: jnp.asarray(np.concatenate([c, spare[name]])) for name, c in case.columns.items()}
    weights = jax.tree.map(jnp.asarray, case.weights)
    pool = ThreadPoolExecutor(threads)

    @jax.jit
    def moved(weights: Weights, parts: Any, examples: Any) -> Weights:
        return jax.tree.map(lambda w, *own: w + sum(own) / examples, weights, *parts)

    def part(first: Array, count: Array) -> Weights:
        return jax.block_until_ready(summed(weights, resident, first, count))

    def next_round(number: int) -> Weights:
        nonlocal weights
        chosen = case.drawn(number)
        first = case.offsets[chosen].astype(np.int32)
        count = np.diff(case.offsets)[chosen].astype(np.int32)
        shares = _shares(count, threads)
        total = np.float32(count.sum())
        if threads == 1:
            parts = [part(first, count)]
        else:
            parts = list(pool.map(lambda own: part(*_padded(first[own], count[own], len(count))), shares))
        weights = jax.block_until_ready(moved(weights, parts, total))
        return weights

    return next_round


def _shares(count: Array, threads: int) -> list[list[int]]:
    """Clients for each thread: the largest first, each to the thread that has the least to do."""
    shares: list[list[int]] = [[] for _ in range(threads)]
    load = [0] * threads
    for client in np.argsort(-count, kind="stable"):
        least = load.index(min(load))
        shares[least].append(int(client))
        load[least] += int(count[client])
    return shares


def _padded(first: Array, count: Array, most: int) -> tuple[Array, Array]:
    """Shares of one length for all threads and rounds, so that one program serves them; the rest is empty."""
    spare = (0, most - len(first))
    return np.pad(first, spare), np.pad(count, spare)


# ---------------------------------------------------------------- measuring


def distance(one: Weights, other: Weights, start: Weights) -> float:
    """How far weights are apart, relative to how far training moved them."""

    def norm(a: Weights, b: Weights) -> float:
        parts = jax.tree.map(lambda x, y: np.sum((np.asarray(x, np.float64) - np.asarray(y)) ** 2), a, b)
        return float(np.sqrt(sum(jax.tree.leaves(parts))))

    return norm(one, other) / norm(other, start)


def measured(name: str, rounds: int, warm: int) -> dict[str, Any]:
    """Runs one case in all ways, which take turns."""
    case = CASES[name]()
    ways = {"foedus": by_foedus(case), "one_call": by_hand(case, 1), "threads": by_hand(case, cores())}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    weights: dict[str, Weights] = {}
    for number in range(1, rounds + 1):
        for way, next_round in ways.items():
            begin = time.perf_counter()
            weights[way] = next_round(number)
            seconds[way].append(time.perf_counter() - begin)
    middle = {way: float(np.median(own[warm:])) for way, own in seconds.items()}
    apart = partial(distance, other=weights["foedus"], start=case.weights)
    return {
        "model": name,
        "rounds": rounds,
        **{f"{way}_s": round(value, 6) for way, value in middle.items()},
        "ratio": round(middle["foedus"] / min(middle["one_call"], middle["threads"]), 3),
        "distance": max(apart(weights["one_call"]), apart(weights["threads"])),
        "first_round_s": {way: round(own[0], 2) for way, own in seconds.items()},
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=CASES, help="one of them; by default both")
    parser.add_argument("--rounds", type=int, default=63, help="rounds, the warm-up included")
    parser.add_argument("--warm", type=int, default=3, help="rounds that are not counted")
    return parser.parse_args()


def main() -> None:
    options = parse()
    warm = min(options.warm, options.rounds - 1)
    names = [options.model] if options.model else list(CASES)
    results = [measured(name, options.rounds, warm) for name in names]
    print(json.dumps({"cores": cores(), "models": results}), flush=True)
    unequal = [result["model"] for result in results if not result["distance"] < _CLOSE]
    if unequal:
        sys.exit(f"the final weights are not equal: {', '.join(unequal)}")


if __name__ == "__main__":
    main()
