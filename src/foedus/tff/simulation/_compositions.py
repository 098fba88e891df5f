# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Computations that make clients' data sets from their ids, in front of those that need the data sets."""

from __future__ import annotations

import inspect
from typing import Any

from foedus.lang import federated_map
from foedus.tff._computations import Computation
from foedus.tff.learning.templates import LearningProcess
from foedus.tff.templates import IterativeProcess, computation
from foedus.tff.types import view
from foedus.types import CLIENTS, Federated, Sequence, Struct, Type, is_assignable


class SequenceTypeNotFoundError(TypeError):
    """A computation takes no data sets of clients, or several."""


class SequenceTypeNotAssignableError(TypeError):
    """A computation takes data sets of another type than those that are made."""


def compose_dataset_computation_with_computation(
    dataset_computation: Computation, computation_body: Computation
) -> Computation:
    """A computation that takes clients' ids instead of their data sets.

    Args:
        dataset_computation: ``(I -> T*)``, from a client's id to its data set, such as
            ``ClientData.dataset_computation``.
        computation_body: A computation with one argument of type ``{T*}@CLIENTS``.

    Returns:
        The computation, with ``{I}@CLIENTS`` for this argument.

    Raises:
        TypeError: If the first makes no data sets of ids.
        SequenceTypeNotFoundError: If the second does not take data sets of clients, or takes several.
        SequenceTypeNotAssignableError: If they are of another type.
    """
    made = dataset_computation.type
    if made.parameter is None or not isinstance(made.result, Sequence):
        raise TypeError(
            "Expected `dataset_computation` to be from a client's id to a data set, found "
            f"{dataset_computation.type_signature}."
        )
    parameter = computation_body.type.parameter
    fields = parameter.fields if isinstance(parameter, Struct) else ((None, parameter),)
    place = _place_of_data([t for _, t in fields], computation_body)
    taken = fields[place][1]
    assert isinstance(taken, Federated)
    if not is_assignable(taken.member, made.result):
        raise SequenceTypeNotAssignableError(
            f"Expected `dataset_computation` to make data sets of type {view(taken.member)}, which the "
            f"computation takes, found {view(made.result)}."
        )
    ids = Federated(made.parameter, CLIENTS, all_equal=False)
    types: list[Any] = [t for _, t in fields]
    types[place] = ids

    def with_ids(values: list[Any]) -> Any:
        given = list(values)
        given[place] = federated_map(dataset_computation, given[place])
        return computation_body(*given)

    if not isinstance(parameter, Struct):
        return computation(ids)(lambda client_ids: with_ids([client_ids]))
    return computation(*types)(_with_names(with_ids, [name for name, _ in fields]))


def _place_of_data(types: list[Type | None], body: Computation) -> int:
    found = [i for i, t in enumerate(types) if _is_data(t)]
    if len(found) != 1:
        raise SequenceTypeNotFoundError(
            f"Expected one argument of type {{T*}}@CLIENTS, found {len(found) or 'none'} in "
            f"{body.type_signature}."
        )
    return found[0]


def _is_data(type_: Type | None) -> bool:
    return isinstance(type_, Federated) and type_.placement == CLIENTS and isinstance(type_.member, Sequence)


def _with_names(fn: Any, names: list[str | None]) -> Any:
    """A function whose parameters have names, from one that takes them as a list."""

    def call(*arguments: Any) -> Any:
        return fn(list(arguments))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name or f"arg{i}", kind) for i, name in enumerate(names)]
    vars(call)["__signature__"] = inspect.Signature(parameters)
    return call


def compose_dataset_computation_with_iterative_process(
    dataset_computation: Computation, process: IterativeProcess
) -> IterativeProcess:
    """A process whose ``next`` takes clients' ids instead of their data sets.

    Args:
        dataset_computation: From a client's id to its data set.
        process: The process; its ``next`` takes data sets of clients.

    Raises:
        SequenceTypeNotFoundError: If it does not, or takes several.
        SequenceTypeNotAssignableError: If they are of another type.
    """
    composed = compose_dataset_computation_with_computation(dataset_computation, process.next)
    return IterativeProcess(process.initialize, composed)


def compose_dataset_computation_with_learning_process(
    dataset_computation: Computation, process: LearningProcess
) -> LearningProcess:
    """A learning process whose ``next`` takes clients' ids instead of their data sets.

    Args:
        dataset_computation: From a client's id to its data set.
        process: The process.

    Raises:
        SequenceTypeNotAssignableError: If its data sets are of another type.
    """
    composed = compose_dataset_computation_with_computation(dataset_computation, process.next)
    return LearningProcess(
        process.initialize,
        composed,
        process.get_model_weights,
        process.set_model_weights,
        get_hparams_fn=process.get_hparams,
        set_hparams_fn=process.set_hparams,
    )
