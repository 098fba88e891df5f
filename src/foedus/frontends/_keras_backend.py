# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The backend that Keras is on, which it chooses once a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from foedus.errors import ArgumentError, EnvironmentMismatchError, MissingExtraError, place
from foedus.foreign import Way

_BACKENDS = ("jax", "tensorflow")


def require_keras() -> ModuleType:
    """Keras on one of the backends that Foedus uses.

    Returns:
        The module ``keras``.

    Raises:
        MissingExtraError: If Keras is not installed.
        EnvironmentMismatchError: If Keras is on, or is told to use, another backend.
    """
    if "keras" not in sys.modules:
        chosen = os.environ.setdefault("KERAS_BACKEND", "jax")
        if chosen not in _BACKENDS:
            raise _wrong_backend(chosen, "the environment variable KERAS_BACKEND")
    try:
        import keras
    except ImportError as error:
        extras = "keras,tensorflow" if os.environ.get("KERAS_BACKEND") == "tensorflow" else "keras"
        raise MissingExtraError(
            "Keras, or the backend that was chosen for it, is not installed",
            found=str(error),
            hint=f'pip install "foedus[{extras}]"',
        ) from error
    if keras.config.backend() not in _BACKENDS:
        raise _wrong_backend(keras.config.backend(), "keras.config.backend()")
    return keras


def _wrong_backend(found: str, where: str) -> EnvironmentMismatchError:
    return EnvironmentMismatchError(
        "Keras is on another backend than JAX or TensorFlow, and it has one for the whole process",
        found=f"{found!r} in {where}",
        expected="'jax' or 'tensorflow'",
        at=place(),
        hint='set os.environ["KERAS_BACKEND"] = "jax" before Keras is imported for the first time',
    )


def require_way(way: Way | None) -> None:
    """Refuses to be told which way TensorFlow code runs where there is none.

    Args:
        way: What was told.

    Raises:
        ArgumentError: If anything was, and Keras is on JAX.
    """
    if way is not None and require_keras().config.backend() == "jax":
        raise ArgumentError(
            "Only TensorFlow code can be told which way to run, and Keras is on JAX",
            found=f"way={way}",
            expected="no way",
            at=place("way"),
            hint='set os.environ["KERAS_BACKEND"] = "tensorflow" before Keras is imported for the first time',
        )


def in_jax(
    fn: Callable[..., Any], name: str, *, way: Way | None = None, written_as: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """A function over the backend's tensors as one over arrays of JAX.

    Args:
        fn: The function.
        name: What the user calls it.
        way: Which way it is to run, if it is TensorFlow code; None for the one that suits.
        written_as: Where it comes from; ``fn`` if not given.

    Returns:
        The function over arrays.
    """
    if require_keras().config.backend() == "jax":
        return fn
    from foedus.frontends._tensorflow_embedding import TensorflowInJax

    return TensorflowInJax(fn, name, way=way, written_as=written_as)


def first_line(error: Exception) -> str:
    """An error's class, and the first line of what it says."""
    said = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {said}"[:300] if said else type(error).__name__
