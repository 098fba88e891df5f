# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a builder's argument stands for."""

from __future__ import annotations

from typing import Any

from foedus.tff.learning._functional_model import FunctionalModel
from foedus.tff.learning._keras_2 import built
from foedus.tff.learning._keras_variable_model import KerasVariableModel
from foedus.tff.learning._opened import OpenedModel
from foedus.tff.learning._pure_model import pure_model
from foedus.tff.learning._saved_models import LoadedVariableModel
from foedus.tff.learning._variable_model import VariableModel


def open_model(model_fn: Any) -> OpenedModel:
    """The model that a builder's argument stands for.

    Args:
        model_fn: A function without arguments that builds a model anew, or a functional model.

    Raises:
        TypeError: If it is none.
        ValueError: If it returns the same model each time.
    """
    if isinstance(model_fn, FunctionalModel):
        return model_fn.opened()
    if not callable(model_fn):
        raise TypeError(
            "Expected `model_fn` to be a function without arguments that returns a "
            f"tff.learning.models.VariableModel, found {type(model_fn)}."
        )
    model: Any = built(model_fn, "model_fn")
    if isinstance(model, FunctionalModel):
        return model.opened()
    if not isinstance(model, VariableModel):
        raise TypeError(
            f"Expected `model_fn` to return a tff.learning.models.VariableModel, found {type(model)}."
        )
    again: Any = model_fn()
    if isinstance(model, KerasVariableModel):
        if model.keras_model is again.keras_model:
            raise ValueError(
                "Expected `model_fn` to build its Keras model anew in each call, found the same model "
                f"{model.keras_model.name!r} twice. Move the lines that build it into `model_fn`."
            )
        return model.opened()
    if any(one is other for one, other in zip(_variables(model), _variables(again), strict=False)):
        raise ValueError(
            "Expected `model_fn` to make its variables anew in each call, found the same "
            f"{type(model).__name__} or variables of it twice. Move the lines that make them into `model_fn`."
        )
    return model.opened() if isinstance(model, LoadedVariableModel) else pure_model(model).opened()


def _variables(model: VariableModel) -> list[Any]:
    return [*model.trainable_variables, *model.non_trainable_variables]
