# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models that keep their state in variables, as pure functions over tensors of TensorFlow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp

from foedus.frontends.tf_data import in_jax, specs_of
from foedus.learning.metrics import Metric
from foedus.learning.models import Forward, Mode, Model
from foedus.tff.learning._opened import Finalizers, OpenedModel, example_of
from foedus.tff.learning._variable_model import VariableModel
from foedus.tff.learning._weights import ModelWeights
from foedus.tff.types import foedus_type
from foedus.types import type_of


class Held(NamedTuple):
    """What a model's variables hold, each a list of arrays.

    Args:
        trainable: What an optimizer changes.
        non_trainable: What the model itself changes.
        local: What stays at a client, such as the sums of metrics.
    """

    trainable: Any
    non_trainable: Any
    local: Any


class Step(NamedTuple):
    """What a model makes of a batch.

    Args:
        loss: The mean loss.
        predictions: The predictions; ``()`` where there are none.
        num_examples: How many examples there are.
        non_trainable: What the model's own weights are afterwards.
        local: What stays at the client.
    """

    loss: Any
    predictions: Any
    num_examples: Any
    non_trainable: Any
    local: Any


@final
@dataclass(frozen=True, slots=True, eq=False)
class PureModel:
    """A model as pure functions over tensors of TensorFlow.

    Args:
        start: What its variables hold at first.
        input_spec: What specifies a batch.
        run: For each mode, ``(held, batch) -> Step``.
        predict: For each mode, ``(held, x) -> predictions``.
        report: ``held -> unfinalized metrics``.
        finalizers: What is reported of them; None for models of 2021.
        whole: From clients' metrics to reported ones, for models of 2021.
    """

    start: Held
    input_spec: Any
    run: Mapping[Mode, Callable[[Any, Any], Any]]
    predict: Mapping[Mode, Callable[[Any, Any], Any]]
    report: Callable[[Any], Any]
    finalizers: Finalizers | None
    whole: Callable[[Any], Any] | None = None

    def opened(self) -> OpenedModel:
        """The same as builders see it; its rows count as coupled, since its loss is a mean.

        A batch is run twice: once for the loss and its gradient, once to take it into the metrics.
        """
        runs = {mode: in_jax(run) for mode, run in self.run.items()}
        report, predict = in_jax(self.report), in_jax(self.predict[Mode.EVALUATE])
        local = self.start.local
        weights = ModelWeights(self.start.trainable, self.start.non_trainable)

        def forward(weights: Any, batch: Any, key: Any, mode: Mode) -> Forward:
            done = Step(*runs[mode](_held(weights, local), batch))
            rows = jax.tree.leaves(batch)[0].shape[0]
            losses = jnp.broadcast_to(done.loss, (rows,))
            seen = {mode.value: (weights, batch)}
            return Forward(losses, seen, (), list(done.non_trainable), jnp.zeros((), losses.dtype))

        def accumulate(statistics: Any, predictions: Any, labels: Any, mask: Any) -> Any:
            ((mode, (weights, batch)),) = predictions.items()
            done = Step(*runs[Mode(mode)](_held(weights, statistics["local"]), batch))
            count = statistics["count"] + done.num_examples.astype(jnp.float32)
            return {"local": list(done.local), "count": count}

        def zero() -> Any:
            return {"local": [jnp.asarray(value) for value in local], "count": jnp.float32(0)}

        own = Metric(_OWN, zero, accumulate, lambda statistics: statistics["count"])

        def unfinalized(statistics: Any) -> Any:
            kept = statistics["metrics"][_OWN]["local"]
            return report(_held(weights, kept))

        return OpenedModel(
            Model(
                element_type=example_of(self.input_spec),
                weights_type=type_of(weights),
                initialize=lambda key: jax.tree.map(jnp.asarray, weights),
                forward=forward,
                predict=lambda weights, x: predict(_held(weights, local), x),
                metrics=(own,),
                coupled=True,
                to_user=lambda weights: weights,
            ),
            unfinalized,
            self.finalizers,
            self.whole,
            lambda metrics: metrics[_OWN],
        )


_OWN = "own"
"""What a model's own metrics are called inside the statistics."""


def _held(weights: Any, local: Any) -> Held:
    trainable, non_trainable = weights
    return Held(trainable, non_trainable, local)


@final
class _Variables:
    """The variables of a model, and its methods as pure functions of what they hold.

    Args:
        model: The model.
        report: What it reports.
        batch: What specifies a batch.
    """

    def __init__(self, model: Any, report: Callable[[], Any], batch: Any) -> None:
        from foedus.frontends import tf_variables

        def everything() -> Any:
            model.forward_pass(tf_variables.placeholders(batch))
            return report()

        parts = [list(model.trainable_variables), list(model.non_trainable_variables)]
        declared = [tf_variables.variable_in(v) for v in [*parts[0], *parts[1], *model.local_variables]]
        odd = next((v for v in declared if not tf_variables.is_variable(v)), None)
        if odd is not None:
            raise TypeError(
                f"Expected the variables of {type(model).__name__} to be tf.Variable, found {odd!r}."
            )
        found = sorted(tf_variables.variables_of(everything, model), key=lambda v: v.name)
        self._model = model
        self._all = list({id(v): v for v in [*declared, *found]}.values())
        self._ends = len(parts[0]), len(parts[0]) + len(parts[1])
        self._module = tf_variables

    def parts(self, values: list[Any]) -> Held:
        """One value for each variable, by what they are for."""
        first, second = self._ends
        return Held(values[:first], values[first:second], values[second:])

    def start(self) -> Held:
        """What the variables hold now."""
        return self.parts([self._module.value_of(v) for v in self._all])

    def pure(self, fn: Callable[..., Any]) -> Callable[..., tuple[Any, Held]]:
        """``(held, *arguments) -> (result, held after)``."""
        run = self._module.pure(fn, self._model, self._all)

        def with_held(held: Any, *arguments: Any) -> tuple[Any, Held]:
            trainable, non_trainable, local = held
            result, after = run([*trainable, *non_trainable, *local], *arguments)
            return result, self.parts(after)

        return with_held

    def step(self, training: bool) -> Callable[[Any, Any], Step]:
        """``(held, batch) -> Step``."""

        def forward(batch: Any) -> Any:
            return _plain(self._model.forward_pass(batch, training=training))

        run = self.pure(forward)

        def stepped(held: Any, batch: Any) -> Step:
            (loss, predictions, num_examples), after = run(held, batch)
            return Step(loss, predictions, num_examples, after.non_trainable, after.local)

        return stepped

    def prediction(self, training: bool) -> Callable[[Any, Any], Any]:
        """``(held, x) -> predictions``."""

        def predict(x: Any) -> Any:
            return self._model.predict_on_batch(x, training=training)

        run = self.pure(predict)
        return lambda held, x: run(held, x)[0]


def pure_model(model: VariableModel) -> PureModel:
    """A model that keeps its state in variables of TensorFlow, as pure functions.

    Args:
        model: The model; it stays as it is, but for its metrics, which begin anew.

    Raises:
        TypeError: If it is not made of ``tf.Variable``, or has nothing to report.
        TracingError: If it changes a variable inside a branch or a loop of TensorFlow.
        UnsupportedError: If it changes a variable by more than assignments.
    """
    from foedus.frontends import tf_variables

    batch = specs_of(foedus_type(model.input_spec))
    report, finalizers, whole = _reporting(model)
    if _has(model, "reset_metrics"):
        tf_variables.as_written(model, lambda: model.reset_metrics())
    variables = _Variables(model, report, batch)
    runs = {mode: variables.step(mode is Mode.TRAIN) for mode in Mode}
    reported = variables.pure(lambda: report())

    def once(*held: Any) -> Any:
        return runs[Mode.TRAIN](held, tf_variables.placeholders(batch)), reported(held)

    tf_variables.trace(once, variables.start())  # What cannot be made pure is refused here.
    return PureModel(
        variables.start(),
        model.input_spec,
        runs,
        {mode: variables.prediction(mode is Mode.TRAIN) for mode in Mode},
        lambda held: reported(held)[0],
        finalizers,
        whole,
    )


def _plain(output: Any) -> tuple[Any, Any, Any]:
    loss, predictions, num_examples = output
    return loss, () if predictions is None else predictions, num_examples


def _reporting(model: Any) -> tuple[Callable[[], Any], Finalizers | None, Callable[[Any], Any] | None]:
    """What a model reports at a client, and how that becomes what is reported of all of them."""
    if _has(model, "report_local_unfinalized_metrics") and _has(model, "metric_finalizers"):
        return (
            lambda: OrderedDict(model.report_local_unfinalized_metrics()),
            OrderedDict(model.metric_finalizers()),
            None,
        )
    if hasattr(model, "report_local_outputs") and hasattr(model, "federated_output_computation"):
        return lambda: model.report_local_outputs(), None, model.federated_output_computation
    raise TypeError(
        f"Expected {type(model).__name__} to have the methods report_local_unfinalized_metrics and "
        "metric_finalizers, or those of 2021, report_local_outputs and federated_output_computation."
    )


def _has(model: Any, name: str) -> bool:
    return getattr(type(model), name, None) is not getattr(VariableModel, name)
