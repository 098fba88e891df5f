# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop."""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from foedus.data import Cohort
from foedus.errors import ArgumentError, place
from foedus.program._checkpoint import Checkpoint, Checkpoints, encode_checkpoint
from foedus.program._csv_file import csv_file
from foedus.program._data_source import DataSource
from foedus.program._folder import identity_of, opened
from foedus.program._progress import Progress, fitting_progress
from foedus.program._record import Record, flatten
from foedus.program._release import Release
from foedus.program._run import Run
from foedus.program._sampling import check_sample, sample_for_evaluation, sample_uniform
from foedus.program._trainable import Trainable

_LOG = logging.getLogger("foedus.program")


@dataclass(frozen=True, slots=True)
class _Plan:
    rounds: int
    clients_per_round: int
    seed: int
    evaluate_every: int
    checkpoint_every: int
    keep: int


def train(
    process: Trainable,
    data: DataSource,
    *,
    rounds: int,
    clients_per_round: int,
    evaluate: DataSource | None = None,
    evaluate_every: int = 10,
    evaluation_clients: int | None = None,
    seed: int = 0,
    into: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 10,
    keep: int = 3,
    releases: Sequence[Release] = (),
    progress: Progress | None = None,
) -> Run:
    """Trains for a number of rounds, each with clients drawn at random.

    With a folder, metrics are there after every round, and the state every few rounds; the same call again
    goes on after the newest good checkpoint and gives the same bits as if it had never stopped. That holds
    for a run that was killed, too, and for one that is given more rounds. An interrupt (Ctrl-C), or an error
    in a round, stores the state after the last finished round before it goes on to the caller.

    A loss that is not finite does not end the run: the progress says so, and since which round.

    Args:
        process: What is trained.
        data: The clients to train on.
        rounds: How many rounds there are in all, those of earlier calls with the same folder included.
        clients_per_round: How many clients take part in each; see ``sample_uniform``.
        evaluate: The clients to evaluate on, or None.
        evaluate_every: Rounds from one evaluation to the next; the last round is always evaluated.
        evaluation_clients: How many of the clients to evaluate on, the same ones each time; None for all.
        seed: What all random numbers of the run are derived from.
        into: A folder for metrics (``metrics.csv``) and checkpoints, made if it is missing; None for nothing.
        checkpoint_every: Rounds from one checkpoint to the next; there is always one after the last round.
        keep: How many checkpoints to keep.
        releases: Where else the metrics go.
        progress: How to show how far the run is; None for what fits: a bar, or lines if the output is no
            terminal.

    Returns:
        The state and the metrics.

    Raises:
        ArgumentError: If no client would take part in a round, or the folder holds another run.
        OutputError: If the folder cannot be written, before the first round or in any later one. The newest
            checkpoint is still there then.
        CorruptDataError: If there are checkpoints, and none can be read.

    Example:
        >>> run = train(process, data, rounds=100, clients_per_round=10, into="runs/digits")  # doctest: +SKIP
        >>> run.plot("curves.png")  # doctest: +SKIP
    """
    plan = _Plan(
        rounds=_positive("rounds", rounds),
        clients_per_round=_whole("clients_per_round", clients_per_round),
        seed=_whole("seed", seed),
        evaluate_every=_positive("evaluate_every", evaluate_every),
        checkpoint_every=_positive("checkpoint_every", checkpoint_every),
        keep=_positive("keep", keep),
    )
    check_sample(len(data.ids), plan.clients_per_round)
    evaluation = _evaluation_cohort(evaluate, evaluation_clients, plan.seed)
    folder = None if into is None else Path(into)
    with contextlib.ExitStack() as stack:
        checkpoints = _enter(stack, folder, process, data, plan)
        begin = _begin(process, checkpoints, plan)
        outputs = [*([] if folder is None else [csv_file(folder / "metrics.csv")]), *releases]
        shown = progress or fitting_progress()
        _start(stack, outputs, shown, begin, plan)
        rounds_to_go = _rounds(process, data, evaluation, plan, begin)
        finished = _go_on(rounds_to_go, begin, checkpoints, outputs, shown, plan)
    return Run(finished.state, list(finished.history), finished.round, folder)


def _whole(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name} must be a whole number", found=repr(value), at=place()) from None


def _positive(name: str, value: int) -> int:
    if _whole(name, value) < 1:
        raise ArgumentError(f"{name} must be positive", found=value, expected="1 or more", at=place())
    return _whole(name, value)


def _evaluation_cohort(source: DataSource | None, clients: int | None, seed: int) -> Cohort | None:
    if source is None:
        return None
    if clients is None:
        check_sample(len(source.ids), len(source.ids))
        return source.cohort(source.ids)
    return source.cohort(sample_for_evaluation(source.ids, _whole("evaluation_clients", clients), seed=seed))


def _enter(
    stack: contextlib.ExitStack, folder: Path | None, process: Trainable, data: DataSource, plan: _Plan
) -> Checkpoints | None:
    if folder is None:
        return None
    identity = identity_of(process, data.ids, seed=plan.seed, clients_per_round=plan.clients_per_round)
    return stack.enter_context(opened(folder, identity, process.state_type, keep=plan.keep))


def _begin(process: Trainable, checkpoints: Checkpoints | None, plan: _Plan) -> Checkpoint:
    newest, broken = (None, []) if checkpoints is None else checkpoints.newest()
    if checkpoints is not None:
        checkpoints.tidy(broken)
    if newest is None:
        begin = Checkpoint(0, process.initialize(plan.seed), [])
        if checkpoints is not None:
            # A state that is not of its type should be found out now and not after some rounds.
            encode_checkpoint(begin, process.state_type)
        return begin
    if newest.round > plan.rounds:
        raise ArgumentError(
            "The run in this folder has more rounds already",
            found=f"rounds={plan.rounds}",
            expected=f"{newest.round} or more",
            at=place(),
            hint="ask for more rounds, or give this run a folder of its own",
        )
    return newest


def _start(
    stack: contextlib.ExitStack,
    outputs: Sequence[Release],
    progress: Progress,
    begin: Checkpoint,
    plan: _Plan,
) -> None:
    for output in outputs:
        stack.callback(output.close)
        output.start(begin.history)
    stack.callback(progress.close)
    progress.start(begin.history, plan.rounds)
    if begin.round:
        progress.note(f"going on after round {begin.round}, the newest good checkpoint")


def _rounds(
    process: Trainable,
    data: DataSource,
    evaluation: Cohort | None,
    plan: _Plan,
    begin: Checkpoint,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Checkpoint]:
    """Trains; gives where the run stands after each round. All share one growing history."""
    state, history = begin.state, list(begin.history)
    for number in range(begin.round + 1, plan.rounds + 1):
        started = clock()
        chosen = sample_uniform(data.ids, plan.clients_per_round, seed=plan.seed, round=number)
        step = process.next(state, data.cohort(chosen))
        state = step.state
        record: Record = {"round": number}
        record |= flatten("train", step.result) | flatten("measurements", step.measurements)
        seconds = clock() - started
        if evaluation is not None and (number % plan.evaluate_every == 0 or number == plan.rounds):
            record |= flatten("evaluation", process.evaluate(state, evaluation))
        record["seconds"] = seconds
        history.append(record)
        yield Checkpoint(number, state, history)


def _go_on(
    rounds: Iterator[Checkpoint],
    begin: Checkpoint,
    checkpoints: Checkpoints | None,
    outputs: Sequence[Release],
    progress: Progress,
    plan: _Plan,
) -> Checkpoint:
    finished = begin
    try:
        for finished in rounds:
            record = finished.history[-1]
            for output in outputs:
                output.release(record)
            progress.show(record)
            due = finished.round % plan.checkpoint_every == 0 or finished.round == plan.rounds
            if checkpoints is not None and due:
                checkpoints.save(finished)
    except BaseException:
        if checkpoints is not None:
            _rescue(checkpoints, finished)
        raise
    return finished


def _rescue(checkpoints: Checkpoints, finished: Checkpoint) -> None:
    """Stores the last finished round when something ends the run before its time."""
    if finished.round == 0 or finished.round in checkpoints.rounds():
        return
    try:
        # The round that was cut off may have written its record already.
        checkpoints.save(finished._replace(history=finished.history[: finished.round]))
    except Exception as error:
        # What ended the run matters more than this.
        _LOG.warning("The state after round %d could not be stored: %s", finished.round, error)
