# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A model: pure functions and the types they work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, final

from foedus.errors import ArgumentError, place
from foedus.learning.metrics import Metric
from foedus.types import Struct, Type, from_plain, names_of, parts_of, to_plain

_REPORTED = ("loss", "examples", "dropped_clients")
"""What is reported of every model, beside its metrics."""


class ModelWeights(NamedTuple):
    """The weights of a model, as plain arrays in the user's own structure.

    Args:
        trainable: What an optimizer changes.
        non_trainable: What the model itself changes, such as the averages of batch normalisation.
    """

    trainable: Any
    non_trainable: Any


class Mode(Enum):
    """What a model is run for."""

    TRAIN = "train"
    EVALUATE = "evaluate"


class NonTrainable(Enum):
    """What becomes of the weights that a model changes itself while clients train it, such as the averages of
    batch normalisation. Clients begin with the server's.
    """

    KEEP_SERVERS = "keep the server's"
    """The server keeps its own as they were; what clients made of them is forgotten."""
    AVERAGE = "average"
    """The server takes the average of what clients made of them, weighted like their updates."""
    KEEP_LOCAL = "keep local"
    """Each client keeps its own from round to round, and no one else gets them (Andreux et al., 2020, section
    3). Before its first round, a client has the server's, which stay what they were at the start."""


class Forward(NamedTuple):
    """What a model makes of a batch.

    Args:
        losses: float[rows], one loss an example.
        predictions: What the metrics see, rows first.
        labels: The labels, rows first.
        non_trainable: The weights that the model itself changes, after the batch.
        penalty: float[], what is added to the mean loss, such as a regularisation.
    """

    losses: Any
    predictions: Any
    labels: Any
    non_trainable: Any
    penalty: Any


@final
@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model that can be trained on batches of examples.

    Args:
        element_type: The type of one example.
        weights_type: The type of its weights, ``<trainable=...,non_trainable=...>``.
        initialize: From a key (uint32[2]) to ``ModelWeights``.
        forward: ``(weights, batch, key, mode) -> Forward``; ``batch`` is a batch of examples with rows first.
        predict: ``(weights, features) -> predictions``.
        metrics: What is measured beside the loss.
        coupled: Whether a row's outcome depends on the other rows of its batch, as with batch normalisation.
            Coupled models are run on batches of exactly their own shape, never on padded ones.
        to_user: From weights to the model in the user's own framework.
        non_trainable: What becomes of the weights that it changes itself.

    Raises:
        ArgumentError: If two metrics have one name, or a metric has a name that is reported anyway.
    """

    element_type: Type
    weights_type: Type
    initialize: Callable[[Any], ModelWeights]
    forward: Callable[[ModelWeights, Any, Any, Mode], Forward]
    predict: Callable[[ModelWeights, Any], Any]
    metrics: tuple[Metric, ...]
    coupled: bool
    to_user: Callable[[ModelWeights], Any]
    non_trainable: NonTrainable = NonTrainable.KEEP_SERVERS

    def __post_init__(self) -> None:
        names = [*_REPORTED, *(metric.name for metric in self.metrics)]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise ArgumentError(
                f"Two numbers would be reported as {twice!r}",
                found=f"metrics {', '.join(names[len(_REPORTED) :])}, beside {', '.join(_REPORTED)}",
                expected="metrics with names of their own",
                at=place("metrics"),
                hint="give one of them another name",
            )

    def check_weights(self, weights: Any) -> ModelWeights:
        """Brings weights into the model's own structure.

        Args:
            weights: ``ModelWeights``, or anything with the same structure; arrays of any framework.

        Returns:
            The weights as NumPy arrays.

        Raises:
            TypeMismatchError: If a leaf has another dtype or shape; the error names its path.
        """
        return from_plain(to_plain(weights, self.weights_type, "the model's weights"), self.weights_type)


Splitter = Callable[[Any], tuple[Any, Any]]
_LABELS = ("label", "labels", "y")


def splitter(element: Type, features: str | None, label: str | None) -> Splitter:
    """How an example is split into features and label.

    Args:
        element: The type of an example: a pair, or named fields.
        features: The field with the features; if not given, all but the label (itself if there is one such
            field, else a dict of them).
        label: The field with the label; if not given, the field called ``label``, ``labels`` or ``y``.

    Returns:
        A function from an example (or a batch) in its Python container to features and label.

    Raises:
        ArgumentError: If there are no such fields, or nothing tells which they are.
    """
    if not isinstance(element, Struct):
        raise ArgumentError(
            "An example needs features and a label", found=element, expected="a struct", at=place("example")
        )
    names = [name for name, _ in element.fields]
    if names == [None, None] and features is None and label is None:
        return lambda example: (example[0], example[1])
    for what, name in (("features", features), ("label", label)):
        if name is not None and name not in names:
            raise ArgumentError(
                f"An example has no field {name!r}", found=f"fields {names_of(element)}", at=place(what)
            )
    label = label or next((name for name in _LABELS if name in names), None)
    if label is None or None in names:
        raise ArgumentError(
            "Nothing tells which field of an example is the label",
            found=element,
            expected=f"a pair, or a field called {', '.join(_LABELS[:-1])} or {_LABELS[-1]}",
            at=place("example"),
            hint="name the field with label=...",
        )
    rest = [str(name) for name in names if name != label]
    if not rest:
        raise ArgumentError(
            "An example has a label and no features",
            found=element,
            expected="a pair, or another field",
            at=place("example"),
        )
    if features is None and len(rest) == 1:
        features = rest[0]
    if features is not None:
        return lambda example: (_fields(example)[features], _fields(example)[label])
    return lambda example: ({name: _fields(example)[name] for name in rest}, _fields(example)[label])


def _fields(example: Any) -> dict[str | None, Any]:
    """The fields of a dict, a named tuple or a dataclass by name."""
    return dict(parts_of(example) or ())
