# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Loops of training, and who takes part in their rounds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from foedus.tff.program import ProgramStateManager, ReleaseManager
from foedus.tff.templates import IterativeProcess

_MODULUS, _MULTIPLIER = 2**31 - 1, 16807
"""Of the generator of Lehmer, as Park and Miller chose it in 1988."""


def build_uniform_sampling_fn(
    sample_range: Sequence[Any], replace: bool = False, random_seed: int | None = None
) -> Callable[..., list[Any]]:
    """A function that draws from a range for each round.

    With a seed, what is drawn for a round depends on the seed and the round's number alone.

    Args:
        sample_range: What is drawn from, such as client ids.
        replace: Whether one thing may be drawn twice for a round.
        random_seed: The seed; None draws otherwise each time.

    Returns:
        ``(round_num, size) -> list``.
    """
    chosen_from = np.empty(len(sample_range), dtype=object)
    chosen_from[:] = list(sample_range)
    start = None if random_seed is None else np.random.RandomState(random_seed).randint(1, _MODULUS - 1)

    def sample(round_num: int, size: int) -> list[Any]:
        if not replace and size > len(chosen_from):
            raise ValueError(f"Expected `size` to be at most {len(chosen_from)}, found {size}.")
        seed = None if start is None else pow(_MULTIPLIER, round_num, _MODULUS) * int(start) % _MODULUS
        return np.random.RandomState(seed).choice(chosen_from, size=size, replace=replace).tolist()

    return sample


def build_uniform_client_sampling_fn(
    dataset: Any, clients_per_round: int, random_seed: int | None = None
) -> Callable[[int], list[Any]]:
    """A function that draws clients for each round, by its name of 2021.

    Args:
        dataset: A ``ClientData``.
        clients_per_round: How many.
        random_seed: The seed.

    Returns:
        ``round_num -> list of ids``.
    """
    sample = build_uniform_sampling_fn(dataset.client_ids, random_seed=random_seed)
    return lambda round_num: sample(round_num, clients_per_round)


def run_training_process(
    training_process: IterativeProcess,
    training_selection_fn: Callable[[int], Any],
    total_rounds: int,
    evaluation_fn: Callable[[Any, Any], Any] | None = None,
    evaluation_selection_fn: Callable[[int], Any] | None = None,
    rounds_per_evaluation: int = 1,
    program_state_manager: ProgramStateManager | None = None,
    rounds_per_saving_program_state: int = 1,
    metrics_managers: Iterable[ReleaseManager] | None = None,
) -> Any:
    """Trains for some rounds, from the newest state that was saved on.

    Args:
        training_process: A process whose ``next`` takes a state and the clients' data, and gives the next
            state and metrics.
        training_selection_fn: From the number of a round, from 1 on, to its clients' data.
        total_rounds: How many rounds there are in all.
        evaluation_fn: From a state and clients' data to metrics.
        evaluation_selection_fn: From the number of a round, from 0 on, to the data it is evaluated on.
        rounds_per_evaluation: The number of rounds from one evaluation to the next.
        program_state_manager: Keeps the states.
        rounds_per_saving_program_state: The number of rounds from one that is saved to the next.
        metrics_managers: Take each round's metrics: those of the training, ``round_number``,
            ``training_time_in_seconds``, ``round_time_in_seconds``, and with ``evaluation/`` before their
            names those of the evaluation.

    Returns:
        The last state.

    Raises:
        ValueError: If only one of the two functions for evaluation is given.
    """
    if (evaluation_fn is None) != (evaluation_selection_fn is None):
        raise ValueError("Expected both of `evaluation_fn` and `evaluation_selection_fn`, or neither.")
    state, begin = training_process.initialize(), 1
    managers = list(metrics_managers or [])

    def evaluate(state: Any, number: int) -> OrderedDict[str, Any]:
        if evaluation_fn is None or evaluation_selection_fn is None:
            return OrderedDict()
        started = time.monotonic()
        metrics = evaluation_fn(state, evaluation_selection_fn(number))
        found = OrderedDict((f"evaluation/{name}", value) for name, value in metrics.items())
        found["evaluation/evaluation_time_in_seconds"] = time.monotonic() - started
        return found

    if program_state_manager is not None:
        kept, version = asyncio.run(program_state_manager.load_latest(state))
        state, begin = (state, 1) if kept is None else (kept, version + 1)
    if begin == 1:
        if program_state_manager is not None:
            asyncio.run(program_state_manager.save(state, 0))
        if evaluation_fn is not None:
            _release(managers, evaluate(state, 0), 0)
    for number in range(begin, total_rounds + 1):
        started = time.monotonic()
        output = training_process.next(state, training_selection_fn(number))
        state, trained = output[0], output[1]
        metrics: OrderedDict[str, Any] = OrderedDict(trained)
        metrics["round_number"] = number
        metrics["training_time_in_seconds"] = time.monotonic() - started
        if number % rounds_per_evaluation == 0 or number == total_rounds:
            metrics.update(evaluate(state, number))
        metrics["round_time_in_seconds"] = time.monotonic() - started
        _release(managers, metrics, number)
        last = number == total_rounds
        if program_state_manager is not None and (number % rounds_per_saving_program_state == 0 or last):
            asyncio.run(program_state_manager.save(state, number))
    return state


def _release(managers: list[ReleaseManager], metrics: Any, key: int) -> None:
    async def release() -> None:
        for manager in managers:
            await manager.release(metrics, key)

    asyncio.run(release())
