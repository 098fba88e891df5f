# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models in folders: their functions as graphs, and what their variables hold, in the formats of ``wire``.

A model that was loaded trains and evaluates without the code that it was made of. Whoever wrote a folder, its
graphs can do nothing but compute.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from foedus.errors import MissingDataError, place
from foedus.frontends.tf_data import specs_of
from foedus.learning.models import Mode
from foedus.tff.learning._functional_model import FunctionalModel, MetricsFns
from foedus.tff.learning._opened import OpenedModel, features_and_labels
from foedus.tff.learning._pure_model import Held, PureModel, Step, pure_model
from foedus.tff.learning._variable_model import BatchOutput, VariableModel
from foedus.tff.types import foedus_type
from foedus.types import Struct, Type, type_of
from foedus.wire import decode_value, encode_value

_RUNS = {Mode.TRAIN: "train", Mode.EVALUATE: "evaluate"}
_PREDICTS = {Mode.TRAIN: "predict_in_training", Mode.EVALUATE: "predict"}
_VALUES = "values"


def save(model: Any, path: str, input_type: Any = None) -> None:
    """Writes a model to a folder.

    Args:
        model: A ``VariableModel``: of ``from_keras_model``, or written by hand.
        path: The folder; made if it is not there.
        input_type: The type of what the model predicts from; by default the x of its batches.

    Raises:
        TypeError: If it is no such model.
        NotImplementedError: For models with a ``federated_output_computation`` of 2021.
    """
    if not isinstance(model, VariableModel):
        raise TypeError(f"Expected a tff.learning.models.VariableModel, found {type(model)}.")
    pure = model.pure() if isinstance(model, LoadedVariableModel) else pure_model(model)
    if pure.whole is not None or not isinstance(pure.finalizers, dict):
        raise NotImplementedError("foedus.tff saves models with metric_finalizers only")
    folder = _Folder(path)
    held, batch = type_of(_lists(pure.start)), foedus_type(pure.input_spec)
    x = _field(batch, "x", 0) if input_type is None else foedus_type(input_type)
    for mode in Mode:
        folder.write(_RUNS[mode], _stored_step(pure.run[mode]), held, batch)
        folder.write(_PREDICTS[mode], pure.predict[mode], held, x)
    unfinalized = folder.write("report", pure.report, held)
    assert isinstance(unfinalized, Struct)
    for number, (name, type_) in enumerate(unfinalized.fields):
        folder.write(f"finalizer_{number}", _named(pure.finalizers[str(name)]), type_)
    folder.write_value(_VALUES, _lists(pure.start), held)


def load(path: str) -> VariableModel:
    """Reads a model that ``save`` wrote.

    Args:
        path: The folder.

    Returns:
        The model, with the weights that it had.

    Raises:
        MissingDataError: If there is no such folder, or a file of it is missing.
        CorruptDataError: If a file is not what it should be.
    """
    folder = _Folder(path)
    runs = {mode: folder.read(name, 2) for mode, name in _RUNS.items()}
    predicts = {mode: folder.read(name, 2)[0] for mode, name in _PREDICTS.items()}
    held, batch = runs[Mode.TRAIN][1]
    report, _, reported = folder.read("report", 1)
    names = [str(name) for name, _ in _struct(reported).fields]
    pure = PureModel(
        Held(*folder.read_value(_VALUES, held)),
        specs_of(batch),
        {mode: _loaded_step(run) for mode, (run, _, _) in runs.items()},
        {mode: _taking_tuples(predict) for mode, predict in predicts.items()},
        lambda held: report(_lists(held)),
        OrderedDict((name, folder.read(f"finalizer_{i}", 1)[0]) for i, name in enumerate(names)),
    )
    return LoadedVariableModel(pure)


def _lists(held: Any) -> tuple[list[Any], ...]:
    """What variables hold, in the containers that it is written with."""
    return tuple(map(list, held))


def _stored_step(run: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def step(held: Any, batch: Any) -> Any:
        return tuple(run(held, batch))

    return step


def _named(finalizer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function with a parameter that has a name, whatever the finalizer is."""

    def finalize(values: Any) -> Any:
        return finalizer(values)

    return finalize


def _loaded_step(run: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def step(held: Any, batch: Any) -> Step:
        loss, predictions, num_examples, non_trainable, local = run(_lists(held), batch)
        return Step(loss, predictions, num_examples, list(non_trainable), list(local))

    return step


def _taking_tuples(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda held, x: predict(_lists(held), x)


@final
class LoadedVariableModel(VariableModel):
    """What ``load`` gives: functions, and variables of its own."""

    def __init__(self, pure: PureModel) -> None:
        from foedus.frontends.tf_variables import variable

        self._pure = pure
        kinds = zip(pure.start, (True, False, False), strict=True)
        self._held = Held(*([variable(v, trainable=trained) for v in values] for values, trained in kinds))

    @property
    def trainable_variables(self) -> list[Any]:
        return self._held.trainable

    @property
    def non_trainable_variables(self) -> list[Any]:
        return self._held.non_trainable

    @property
    def local_variables(self) -> list[Any]:
        return self._held.local

    @property
    def input_spec(self) -> Any:
        return self._pure.input_spec

    def _values(self) -> Held:
        return Held(*([v.read_value() for v in variables] for variables in self._held))

    def forward_pass(self, batch_input: Any, training: bool = True) -> BatchOutput:
        done = self._pure.run[_mode(training)](self._values(), batch_input)
        _assign(self._held.non_trainable, done.non_trainable)
        _assign(self._held.local, done.local)
        return BatchOutput(done.loss, done.predictions, done.num_examples)

    def predict_on_batch(self, x: Any, training: bool = True) -> Any:
        return self._pure.predict[_mode(training)](self._values(), x)

    def report_local_unfinalized_metrics(self) -> OrderedDict[str, Any]:
        return OrderedDict(self._pure.report(self._values()))

    def metric_finalizers(self) -> OrderedDict[str, Callable[[Any], Any]]:
        assert isinstance(self._pure.finalizers, dict)
        return OrderedDict(self._pure.finalizers)

    def reset_metrics(self) -> None:
        _assign(self._held.local, self._pure.start.local)

    def pure(self) -> PureModel:
        """The same as pure functions, with the weights that it has now."""
        trainable, others = ([np.array(v.numpy()) for v in variables] for variables in self._held[:2])
        return replace(self._pure, start=Held(trainable, others, self._pure.start.local))

    def opened(self) -> OpenedModel:
        """The same as builders see it."""
        return self.pure().opened()


def _mode(training: bool) -> Mode:
    return Mode.TRAIN if training else Mode.EVALUATE


def _assign(variables: list[Any], values: Any) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def save_functional_model(functional_model: FunctionalModel, path: str) -> None:
    """Writes a functional model to a folder.

    Args:
        functional_model: The model.
        path: The folder; made if it is not there.

    Raises:
        TypeError: If it is no such model.
    """
    if not isinstance(functional_model, FunctionalModel):
        raise TypeError(f"Expected a tff.learning.models.FunctionalModel, found {type(functional_model)}.")
    model, folder = functional_model, _Folder(path)
    batch = foedus_type(model.input_spec)
    x, y = _field(batch, "x", 0), _field(batch, "y", 1)
    weights = type_of(tuple(model.initial_weights))

    def predicting(training: bool) -> Callable[[Any, Any], Any]:
        return lambda weights, x: model.predict_on_batch(weights, x, training)

    predictions = folder.write(_PREDICTS[Mode.TRAIN], predicting(True), weights, x)
    folder.write(_PREDICTS[Mode.EVALUATE], predicting(False), weights, x)

    def loss(predictions: Any, labels: Any) -> Any:
        return model.loss(predictions, labels)

    def split(batch: Any) -> Any:
        return features_and_labels(batch)

    loss_type = folder.write("loss", loss, predictions, y)
    folder.write("batch", split, batch)
    folder.write_value(_VALUES, tuple(model.initial_weights), weights)
    if model.metrics_fns is not None:
        _save_metrics(folder, model.metrics_fns, [y, loss_type, predictions])


def _save_metrics(folder: _Folder, functions: MetricsFns, types: list[Type]) -> None:
    initialize, update, finalize = functions
    state = initialize()

    def update_state(state: Any, labels: Any, loss: Any, predictions: Any, num_examples: Any) -> Any:
        return update(state, labels, BatchOutput(loss, predictions, num_examples))

    def finalize_metrics(state: Any) -> Any:
        return finalize(state)

    state_type = type_of(state)
    folder.write("update", update_state, state_type, *types, foedus_type(np.int32))
    folder.write("finalize", finalize_metrics, state_type)
    folder.write_value("state", state, state_type)


def load_functional_model(path: str) -> FunctionalModel:
    """Reads a model that ``save_functional_model`` wrote.

    Args:
        path: The folder.

    Returns:
        The model; its ``loss`` takes no ``sample_weight``.

    Raises:
        MissingDataError: If there is no such folder, or a file of it is missing.
        CorruptDataError: If a file is not what it should be.
    """
    folder = _Folder(path)
    predicts = {mode: folder.read(name, 2) for mode, name in _PREDICTS.items()}
    weights = predicts[Mode.EVALUATE][1][0]
    loss = folder.read("loss", 2)[0]
    (batch,) = folder.read("batch", 1)[1]

    def loss_of(output: Any, label: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None:
            raise NotImplementedError("foedus.tff saves the loss of a model without sample weights")
        return loss(output, label)

    return FunctionalModel(
        initial_weights=folder.read_value(_VALUES, weights),
        predict_on_batch_fn=lambda weights, x, training: predicts[_mode(training)][0](tuple(weights), x),
        loss_fn=loss_of,
        metrics_fns=_load_metrics(folder),
        input_spec=specs_of(batch),
    )


def _load_metrics(folder: _Folder) -> MetricsFns | None:
    if not folder.has("update"):
        return None
    update, types, _ = folder.read("update", 5)
    finalize = folder.read("finalize", 1)[0]
    state = folder.read_value("state", types[0])

    def updated(state: Any, labels: Any, batch_output: BatchOutput, sample_weight: Any = None) -> Any:
        return update(state, labels, *batch_output)

    return lambda: state, updated, finalize


def _field(batch: Type, name: str, index: int) -> Type:
    fields = _struct(batch).fields
    return next((t for field, t in fields if field == name), fields[index][1])


def _struct(type_: Type) -> Struct:
    assert isinstance(type_, Struct), f"{type_} is no struct; please report"
    return type_


@final
class _Folder:
    """A folder with functions and values."""

    def __init__(self, path: Any) -> None:
        self._path = Path(path)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self._path / name).is_file()

    def write(self, name: str, fn: Callable[..., Any], *types: Type) -> Type:
        """Writes a function, and gives the type of its result."""
        from foedus.frontends.tf_functions import write_function

        data, result = write_function(fn, *types)
        self._write(name, data)
        return result

    def write_value(self, name: str, value: Any, type_: Type) -> None:
        """Writes a value."""
        self._write(name, encode_value(value, type_))

    def _write(self, name: str, data: bytes) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        (self._path / name).write_bytes(data)

    def read(self, name: str, arguments: int) -> tuple[Callable[..., Any], list[Type], Type]:
        """A function, the types of its arguments and of its result."""
        from foedus.frontends.tf_functions import read_function

        return read_function(self._read(name), arguments)

    def read_value(self, name: str, type_: Type) -> Any:
        """A value of a type."""
        return decode_value(self._read(name), type_)

    def _read(self, name: str) -> bytes:
        file = self._path / name
        if not file.is_file():
            raise MissingDataError(
                "There is no saved model here, or a file of it is missing",
                found=f"no file {file}",
                expected="a folder that tff.learning.models.save or save_functional_model wrote",
                at=place(),
            )
        return file.read_bytes()
