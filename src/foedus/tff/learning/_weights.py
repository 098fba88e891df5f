# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A model's weights as TFF has them: lists, in the order of the model's variables."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from foedus.frontends.tf_data import is_tracing_tensorflow


class ModelWeights(NamedTuple):
    """A model's weights.

    Args:
        trainable: What an optimizer changes, a list.
        non_trainable: What the model itself changes, a list.
    """

    trainable: Any
    non_trainable: Any

    @classmethod
    def from_model(cls, model: Any) -> ModelWeights:
        """The weights that a model has now, as arrays; inside code of TensorFlow its variables.

        Args:
            model: A Keras model, a ``VariableModel`` or a ``FunctionalModel``.

        Raises:
            TypeError: If it is none.
        """
        initial = getattr(model, "initial_weights", None)
        if initial is not None:
            return cls(*initial)
        trainable = getattr(model, "trainable_variables", None)
        if trainable is None:
            raise TypeError(f"Expected a VariableModel or a Keras model, found {model!r}.")
        if is_tracing_tensorflow():
            return cls(list(trainable), list(model.non_trainable_variables))
        return cls([_array(v) for v in trainable], [_array(v) for v in model.non_trainable_variables])

    @classmethod
    def from_tff_result(cls, struct: Any) -> ModelWeights:
        """The weights in what a computation returned."""
        return cls(list(struct.trainable), list(struct.non_trainable))

    def assign_weights_to(self, model: Any) -> None:
        """Puts these weights into a model.

        Args:
            model: A Keras model, or a ``VariableModel``.
        """
        own = [*model.trainable_variables, *model.non_trainable_variables]
        inside = is_tracing_tensorflow()
        for variable, value in zip(own, [*self.trainable, *self.non_trainable], strict=True):
            variable.assign(value if inside else np.asarray(value))

    def convert_variables_to_arrays(self) -> ModelWeights:
        """The same weights as NumPy arrays."""
        return type(self)([_array(v) for v in self.trainable], [_array(v) for v in self.non_trainable])


def _array(variable: Any) -> np.ndarray[Any, Any]:
    # Variables are told apart from arrays: NumPy would read those of Keras one number at a time.
    read = getattr(variable, "numpy", None)
    return np.array(variable if read is None else read())
