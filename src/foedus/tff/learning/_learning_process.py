# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Learning processes, and how they are composed of four parts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, final

from foedus.errors import CompositionError, place
from foedus.lang import federated_eval, federated_zip
from foedus.tff._computations import Computation
from foedus.tff.learning._parts import (
    ClientWorkProcess,
    DistributionProcess,
    FinalizerProcess,
    check_placed,
    parameters_of,
)
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.templates import AggregationProcess, IterativeProcess, MeasuredProcess, computation
from foedus.tff.types import FederatedType, FunctionType, StructType, Type, at_server
from foedus.types import CLIENTS, SERVER, from_plain, to_plain


class LearningAlgorithmState(NamedTuple):
    """The state of a learning process.

    Args:
        global_model_weights: The weights, ``ModelWeights``.
        distributor: The distributor's state.
        client_work: The client work's.
        aggregator: The aggregator's.
        finalizer: The finalizer's.
    """

    global_model_weights: Any
    distributor: Any
    client_work: Any
    aggregator: Any
    finalizer: Any


class LearningProcessOutput(NamedTuple):
    """What a round gives.

    Args:
        state: The next state.
        metrics: ``<distributor,client_work,aggregator,finalizer>``.
    """

    state: Any
    metrics: Any


@final
class LearningProcess(IterativeProcess):
    """A learning algorithm.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,{D*}@CLIENTS> -> <state=S@SERVER,metrics=M@SERVER>)``.
        get_model_weights: From a state to its weights.
        set_model_weights: From a state and weights to a state.
        get_hparams_fn: From a state to hyperparameters.
        set_hparams_fn: From a state and hyperparameters to a state.

    Raises:
        CompositionError: If a computation is of another type.
    """

    def __init__(
        self,
        initialize_fn: Computation,
        next_fn: Computation,
        get_model_weights: Callable[[Any], Any],
        set_model_weights: Callable[[Any, Any], Any],
        *,
        get_hparams_fn: Callable[[Any], Any] | None = None,
        set_hparams_fn: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(initialize_fn, next_fn)
        _check_round(next_fn.type_signature)
        self._get_model_weights = get_model_weights
        self._set_model_weights = set_model_weights
        self._get_hparams = get_hparams_fn or (lambda state: OrderedDict())
        self._set_hparams = set_hparams_fn or (lambda state, hparams: state)

    def get_model_weights(self, state: Any) -> Any:
        """The model's weights in a state."""
        return self._get_model_weights(state)

    def set_model_weights(self, state: Any, model_weights: Any) -> Any:
        """The state with other weights."""
        return self._set_model_weights(state, model_weights)

    def get_hparams(self, state: Any) -> Any:
        """The hyperparameters in a state."""
        return self._get_hparams(state)

    def set_hparams(self, state: Any, hparams: Any) -> Any:
        """The state with other hyperparameters."""
        return self._set_hparams(state, hparams)


def _check_round(next_type: FunctionType) -> None:
    result, parameter = next_type.result, next_type.parameter
    fields = list(LearningProcessOutput._fields)
    if not isinstance(result, StructType) or result.fields() != fields:
        raise CompositionError(
            "The `next_fn` of a LearningProcess returns no LearningProcessOutput",
            found=result,
            expected="<state=S@SERVER,metrics=M@SERVER>",
            at=place("next_fn"),
        )
    if not isinstance(parameter, StructType) or len(parameter) != 2:
        raise CompositionError(
            "The `next_fn` of a LearningProcess takes another number of arguments",
            found=next_type,
            expected="2 arguments: a state and the clients' data",
            at=place("next_fn"),
        )
    check_placed(parameter[0], SERVER, "The state that a LearningProcess takes")
    check_placed(parameter[1], CLIENTS, "The data that a LearningProcess takes")
    check_placed(result.metrics, SERVER, "The metrics of a LearningProcess")


def compose_learning_process(
    initial_model_weights_fn: Computation,
    model_weights_distributor: DistributionProcess,
    client_work: ClientWorkProcess,
    model_update_aggregator: AggregationProcess,
    model_finalizer: FinalizerProcess,
    measure_timing: bool = False,
) -> LearningProcess:
    """Composes a learning process of its parts.

    Args:
        initial_model_weights_fn: ``( -> W)``, the first weights.
        model_weights_distributor: How weights reach clients.
        client_work: What clients do with them.
        model_update_aggregator: How updates are aggregated.
        model_finalizer: How weights are changed.
        measure_timing: Without a meaning here.

    Returns:
        The process, with ``LearningAlgorithmState`` and metrics by the names of the parts.

    Raises:
        CompositionError: If something is no such part, or the parts do not fit together.
    """
    weights_type = _weights_type(initial_model_weights_fn)
    for name, part, cls in (
        ("model_weights_distributor", model_weights_distributor, MeasuredProcess),
        ("client_work", client_work, ClientWorkProcess),
        ("model_update_aggregator", model_update_aggregator, AggregationProcess),
        ("model_finalizer", model_finalizer, FinalizerProcess),
    ):
        if not isinstance(part, cls):
            raise CompositionError(
                f"`{name}` is not what it should be",
                found=type(part).__name__,
                expected=DistributionProcess.__name__ if cls is MeasuredProcess else cls.__name__,
                at=place(name),
            )
    _check_fit(weights_type, model_weights_distributor, client_work, model_update_aggregator, model_finalizer)

    @computation()
    def initialize() -> Any:
        weights = federated_eval(initial_model_weights_fn, SERVER)
        parts = (model_weights_distributor, client_work, model_update_aggregator, model_finalizer)
        return federated_zip(LearningAlgorithmState(weights, *(part.initialize() for part in parts)))

    is_weighted = model_update_aggregator.is_weighted

    @computation(initialize.type.result, parameters_of(client_work)[2].foedus)
    def next_(state: Any, client_data: Any) -> Any:
        sent = model_weights_distributor.next(state.distributor, state.global_model_weights)
        done = client_work.next(state.client_work, sent.result, client_data)
        weight = (done.result.update_weight,) if is_weighted else ()
        mean = model_update_aggregator.next(state.aggregator, done.result.update, *weight)
        new = model_finalizer.next(state.finalizer, state.global_model_weights, mean.result)
        measured = OrderedDict(
            distributor=sent.measurements,
            client_work=done.measurements,
            aggregator=mean.measurements,
            finalizer=new.measurements,
        )
        after = LearningAlgorithmState(new.result, sent.state, done.state, mean.state, new.state)
        return LearningProcessOutput(federated_zip(after), federated_zip(measured))

    def get_hparams(state: Any) -> Any:
        return OrderedDict(
            client_work=client_work.get_hparams(state.client_work),
            finalizer=model_finalizer.get_hparams(state.finalizer),
        )

    def set_hparams(state: Any, hparams: Any) -> Any:
        return state._replace(
            client_work=client_work.set_hparams(state.client_work, hparams["client_work"]),
            finalizer=model_finalizer.set_hparams(state.finalizer, hparams["finalizer"]),
        )

    return LearningProcess(
        initialize,
        next_,
        lambda state: state.global_model_weights,
        weights_setter(weights_type),
        get_hparams_fn=get_hparams,
        set_hparams_fn=set_hparams,
    )


def weights_setter(weights_type: Type) -> Callable[[Any, Any], Any]:
    """A function that puts weights into a state.

    Args:
        weights_type: The type that they have.
    """

    def set_weights(state: Any, weights: Any) -> Any:
        plain = to_plain(weights, weights_type.foedus, "the model's weights")
        return state._replace(global_model_weights=ModelWeights(*from_plain(plain, weights_type.foedus)))

    return set_weights


def _weights_type(initial: Any) -> Type:
    """The type of the first weights."""
    if not isinstance(initial, Computation):
        raise CompositionError(
            "`initial_model_weights_fn` is not what it should be",
            found=type(initial).__name__,
            expected="tff.Computation",
            at=place("initial_model_weights_fn"),
            hint="@tff.tensorflow.computation on a function that returns ModelWeights.from_model(model_fn())",
        )
    type_ = initial.type_signature
    if type_.parameter is not None or isinstance(type_.result, FederatedType):
        raise CompositionError(
            "`initial_model_weights_fn` makes the first weights of nothing, and does not place them",
            found=type_,
            expected="( -> <trainable=...,non_trainable=...>)",
            at=place("initial_model_weights_fn"),
        )
    return type_.result


def _check_fit(
    weights: Type,
    distributor: MeasuredProcess,
    client_work: ClientWorkProcess,
    aggregator: AggregationProcess,
    finalizer: FinalizerProcess,
) -> None:
    """Raises unless each part takes what the one before it gives."""
    sent = distributor.next.type_signature.result.result
    done = client_work.next.type_signature.result.result.member
    mean = aggregator.next.type_signature.result.result
    taken = {
        name: parameters_of(part)
        for name, part in (
            ("model_weights_distributor", distributor),
            ("client_work", client_work),
            ("model_update_aggregator", aggregator),
            ("model_finalizer", finalizer),
        )
    }
    wanted = taken["model_update_aggregator"]
    pairs = [
        (
            "model_weights_distributor",
            "the model's weights",
            taken["model_weights_distributor"][1],
            at_server(weights),
        ),
        ("client_work", "what the distributor gives", taken["client_work"][1].member, sent.member),
        ("model_update_aggregator", "the update that the client work gives", wanted[1].member, done.update),
        ("model_finalizer", "the model's weights", taken["model_finalizer"][1], at_server(weights)),
        ("model_finalizer", "what the aggregator gives", taken["model_finalizer"][2], mean),
    ]
    if aggregator.is_weighted:
        weight = done.update_weight
        pairs.insert(
            3, ("model_update_aggregator", "the weight that the client work gives", wanted[2].member, weight)
        )
    for name, what, expected, found in pairs:
        if not expected.is_assignable_from(found):
            raise CompositionError(
                f"`{name}` does not take {what}", found=found, expected=expected, at=place(name)
            )
