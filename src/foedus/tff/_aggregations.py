# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Factories of aggregation processes, and the way between them and the aggregators of Foedus."""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, final

from foedus import lang
from foedus.aggregators import Aggregator
from foedus.lang import federated_value, federated_zip
from foedus.process import Output, Process
from foedus.tff.templates import AggregationProcess, MeasuredProcessOutput, computation
from foedus.tff.types import foedus_type, view
from foedus.types import CLIENTS, EMPTY, Struct, Type, at_clients


class UnweightedAggregationFactory(abc.ABC):
    """Makes aggregation processes for values without weights."""

    @abc.abstractmethod
    def create(self, value_type: Any) -> AggregationProcess:
        """The process for one type of values.

        Args:
            value_type: What each client has.
        """


class WeightedAggregationFactory(abc.ABC):
    """Makes aggregation processes for values with weights."""

    @abc.abstractmethod
    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """The process for one type of values and of weights.

        Args:
            value_type: What each client has.
            weight_type: The type of its weight.
        """


AggregationFactory = UnweightedAggregationFactory | WeightedAggregationFactory
"""Either factory."""

Factory = TypeVar("Factory", bound=AggregationFactory)
"""The one of the two that a factory inside is."""


@final
@dataclass(frozen=True, slots=True)
class _Native(Aggregator):
    """A factory of TFF, the user's own among them, as an aggregator."""

    factory: AggregationFactory

    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        if isinstance(self.factory, WeightedAggregationFactory):
            made = self.factory.create(view(value_type), view(weight_type))
        else:
            made = self.factory.create(view(value_type))
        initialize, inner, is_weighted = made.initialize.foedus, made.next.foedus, made.is_weighted

        @lang.computation(initialize.type.result, at_clients(value_type), at_clients(weight_type))
        def next_(state: Any, value: Any, weight: Any) -> Any:
            done: Any = inner(state, value, weight) if is_weighted else inner(state, value)
            return Output(done.state, done.result, done.measurements)

        return Process(initialize, next_)


def native(name: str, factory: AggregationFactory) -> Aggregator:
    """An aggregator that does what a factory of TFF does, with its trees.

    Args:
        name: The name of the argument that it was given as.
        factory: The factory.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(factory, AggregationFactory):
        raise TypeError(f"Expected `{name}` to be an aggregation factory, found {factory!r}.")
    return _Native(factory)


def native_sum(name: str, factory: UnweightedAggregationFactory | None) -> Aggregator | None:
    """As ``native``, for a factory without weights that may be left out."""
    if isinstance(factory, WeightedAggregationFactory):
        raise TypeError(f"Expected `{name}` to be an UnweightedAggregationFactory, found {factory!r}.")
    return None if factory is None else native(name, factory)


@final
@dataclass(frozen=True, slots=True)
class Trees:
    """What TFF calls the parts of an aggregator's state and measurements.

    Args:
        state: From TFF's names to those of Foedus, in order; None where the state is that of something else.
        measured: From the measurements of Foedus to those of TFF, as a program of the language.
    """

    state: Mapping[str, str] | None
    measured: Callable[[Any], Any]


def renamed(names: Mapping[str, str]) -> Callable[[Any], Any]:
    """A program that gives the parts of a placed struct TFF's names.

    Args:
        names: From TFF's names to those of Foedus, in order.
    """
    return lambda whole: federated_zip(OrderedDict((theirs, whole[ours]) for theirs, ours in names.items()))


def process_of(
    aggregator: Aggregator, trees: Trees, value_type: Any, weight_type: Any = None
) -> AggregationProcess:
    """The process of TFF that an aggregator makes.

    Args:
        aggregator: The aggregator.
        trees: Names.
        value_type: What each client has.
        weight_type: The type of its weight; None for no weights.

    Returns:
        The process, with weights if there is a type of them.
    """
    value = foedus_type(value_type)
    weight = EMPTY if weight_type is None else foedus_type(weight_type)
    made = aggregator.create(value, weight)
    names = trees.state

    @computation()
    def initialize() -> Any:
        state = made.initialize()
        return state if names is None else renamed(names)(state)

    def step(state: Any, value: Any, weight: Any) -> Any:
        done: Any = made.next(state if names is None else _as_ours(state, names, made), value, weight)
        new = done.state if names is None else renamed(names)(done.state)
        return MeasuredProcessOutput(new, done.result, trees.measured(done.measurements))

    if weight_type is not None:
        next_ = computation(initialize.type.result, at_clients(value), at_clients(weight))(step)
        return AggregationProcess(initialize, next_)

    @computation(initialize.type.result, at_clients(value))
    def unweighted(state: Any, value: Any) -> Any:
        return step(state, value, federated_value((), CLIENTS))

    return AggregationProcess(initialize, unweighted)


def _as_ours(state: Any, names: Mapping[str, str], made: Process) -> Any:
    """A state with the names of Foedus, and in its order."""
    assert isinstance(made.state_type, Struct), "a state with named parts is a struct; please report"
    theirs = {our: their for their, our in names.items()}
    return renamed({name: theirs[name] for name, _ in made.state_type.fields if name is not None})(state)


@final
@dataclass(frozen=True, slots=True)
class _Unweighted(UnweightedAggregationFactory):
    aggregator: Aggregator
    trees: Trees

    def create(self, value_type: Any) -> AggregationProcess:
        """See ``UnweightedAggregationFactory.create``."""
        return process_of(self.aggregator, self.trees, value_type)


@final
@dataclass(frozen=True, slots=True)
class _Weighted(WeightedAggregationFactory):
    aggregator: Aggregator
    trees: Trees

    def create(self, value_type: Any, weight_type: Any) -> AggregationProcess:
        """See ``WeightedAggregationFactory.create``."""
        return process_of(self.aggregator, self.trees, value_type, weight_type)


def around(inner: Factory, aggregator: Aggregator, trees: Trees) -> Factory:
    """The factory of an aggregator that has another one inside, and weights where that one has them.

    Args:
        inner: The factory of the one inside.
        aggregator: The aggregator.
        trees: Names.
    """
    made = _Weighted if isinstance(inner, WeightedAggregationFactory) else _Unweighted
    return cast("Factory", made(aggregator, trees))
