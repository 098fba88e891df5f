# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Code that keeps its state in variables of TensorFlow, as pure functions of their values.

While such code is traced, each of its variables stands for a tensor of the graph: reading it gives the
tensor, and changing it puts another in its place. So nothing is left in a variable when the code has run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast, final

import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.core import ag_ctx
from tensorflow.python.ops import resource_variable_ops

from foedus.errors import TracingError, UnsupportedError, place

_ResourceVariable: Any = cast("Any", resource_variable_ops).ResourceVariable


@final
class _Held(_ResourceVariable):
    """A variable that stands for a tensor; a variable is of this class only while code is traced."""

    _held: Any
    _asked = False

    def value(self, do_not_cache: bool = False) -> Any:
        return self._held

    def read_value(self) -> Any:
        return self._held

    def read_value_no_copy(self) -> Any:
        return self._held

    def _read_variable_op(self, no_copy: bool = False) -> Any:
        return self._held

    def _dense_var_to_tensor(self, dtype: Any = None, name: Any = None, as_ref: bool = False) -> Any:
        return self._held

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        return self._held

    def sparse_read(self, indices: Any, name: Any = None) -> Any:
        return tf.gather(self._held, indices)

    def gather_nd(self, indices: Any, name: Any = None) -> Any:
        return tf.gather_nd(self._held, indices)

    def assign(self, value: Any, use_locking: Any = None, name: Any = None, read_value: bool = True) -> Any:
        given = tf.convert_to_tensor(value, self.dtype)
        self._held = tf.ensure_shape(given, self.shape)
        return self

    def assign_add(
        self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True
    ) -> Any:
        return self.assign(self._held + tf.convert_to_tensor(delta, self.dtype))

    def assign_sub(
        self, delta: Any, use_locking: Any = None, name: Any = None, read_value: bool = True
    ) -> Any:
        return self.assign(self._held - tf.convert_to_tensor(delta, self.dtype))

    @property
    def handle(self) -> NoReturn:
        self._asked = True
        raise AttributeError("handle")


def is_variable(given: Any) -> bool:
    """Whether something is a ``tf.Variable``."""
    return type(given) is _ResourceVariable


def variable_in(given: Any) -> Any:
    """The variable of TensorFlow that is given, or that Keras keeps inside its own.

    Args:
        given: A ``tf.Variable``, or one of Keras on TensorFlow.
    """
    inner = getattr(given, "_value", None)
    return inner if isinstance(inner, tf.Variable) else given


def variables_of(trace: Callable[[], Any], owner: Any) -> list[Any]:
    """The variables of TensorFlow that code reads.

    Args:
        trace: The code, a function without arguments; run once, inside a graph that is thrown away.
        owner: The object whose methods it calls.
    """
    with _plain_methods(owner):
        function = tf.function(trace, autograph=False).get_concrete_function()
    return list(cast("Any", function.graph).variables)


def trace(fn: Callable[..., Any], values: Any) -> None:
    """Traces code, and throws the graph away.

    Args:
        fn: A function over containers of tensors.
        values: Its arguments.
    """
    specs = tf.nest.map_structure(lambda value: tf.TensorSpec(value.shape, value.dtype), tuple(values))
    tf.function(fn, autograph=False).get_concrete_function(*specs)


def placeholders(specs: Any) -> Any:
    """Tensors of a graph as they are specified, for ``variables_of``."""
    return tf.nest.map_structure(lambda s: tf.compat.v1.placeholder(s.dtype, s.shape), specs)


def value_of(variable: Any) -> np.ndarray[Any, Any]:
    """What a variable holds now."""
    return np.array(variable.numpy())


def variable(value: Any, *, trainable: bool = False) -> Any:
    """A new variable of TensorFlow.

    Args:
        value: What it holds.
        trainable: Whether an optimizer changes it.
    """
    return tf.Variable(value, trainable=trainable)


def pure(fn: Callable[..., Any], owner: Any, variables: list[Any]) -> Callable[..., tuple[Any, list[Any]]]:
    """Code that reads and changes variables, as a pure function of what they hold.

    Args:
        fn: The code: a function over tensors, to be run inside a graph.
        owner: The object whose methods it calls; those that ``tf.function`` made count as plain methods.
        variables: All variables that it reads or changes.

    Returns:
        ``(values, *arguments) -> (result, values after)``. It raises a TracingError where a variable is
        changed inside a branch or a loop of TensorFlow, and an UnsupportedError where it is changed by more
        than assignments.
    """

    def run(values: list[Any], *arguments: Any) -> tuple[Any, list[Any]]:
        with _holding(variables, values), _plain_methods(owner):
            try:
                result = tf.nest.map_structure(_read, fn(*arguments))
            except Exception as error:
                _explain(variables, error)
                raise
            _explain(variables, None)
            return result, [v.value() for v in variables]

    return run


def as_written(owner: Any, fn: Callable[[], Any]) -> Any:
    """Runs code with the methods that ``tf.function`` made as plain ones.

    Args:
        owner: The object whose methods it calls.
        fn: The code.
    """
    with _plain_methods(owner):
        return fn()


def _read(given: Any) -> Any:
    return tf.convert_to_tensor(variable_in(given))


def _explain(variables: list[Any], error: Exception | None) -> None:
    """Raises what explains why a use of variables cannot be made pure, if anything does."""
    graph = tf.compat.v1.get_default_graph()
    for held in variables:
        if held._asked:
            raise UnsupportedError(
                f"The variable {held.name!r} is used in a way that cannot be made a pure function",
                expected="reads, assign, assign_add and assign_sub",
                at=place(),
            ) from error
        if held.value().graph is not graph:
            raise TracingError(
                f"The variable {held.name!r} is changed inside a branch or a loop of TensorFlow",
                expected="assignments outside of them",
                at=place(),
                hint="compute the new value with tf.where or tf.cond, and assign it afterwards",
            ) from error


@contextmanager
def _holding(variables: list[Any], values: list[Any]) -> Iterator[None]:
    """While it lasts, variables stand for tensors, and what ``tf.function`` made runs as it is written."""
    classes = [type(v) for v in variables]
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        for v, value in zip(variables, values, strict=True):
            v.__class__ = _Held
            v._held = value
        yield
    finally:
        for v, cls in zip(variables, classes, strict=True):
            v.__class__ = cls
            vars(v).pop("_held", None)
            vars(v).pop("_asked", None)
        tf.config.run_functions_eagerly(eagerly)


@contextmanager
def _plain_methods(owner: Any) -> Iterator[None]:
    """While it lasts, methods are functions that are traced where they are called.

    Their branches and loops become TensorFlow's where they depend on tensors, as by ``tf.function``.
    """
    # Not what there is now, for the code around this may be traced without such a conversion.
    anew = ag_ctx.ControlStatusCtx(ag_ctx.Status.UNSPECIFIED)
    methods = {
        name: tf.__internal__.autograph.tf_convert(function.__get__(owner), anew, True)
        for name, function in _methods_of_user(type(owner))
    }
    before = {name: vars(owner)[name] for name in methods if name in vars(owner)}
    vars(owner).update(methods)
    try:
        yield
    finally:
        for name in methods:
            del vars(owner)[name]
        vars(owner).update(before)


def _methods_of_user(cls: type) -> Iterator[tuple[str, Any]]:
    """The methods of a class that are not ours, by name."""
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if isinstance(found, tf.types.experimental.PolymorphicFunction):
            found = cast("Any", found).python_function
        written = inspect.isfunction(found) and found.__module__.split(".")[0] != "foedus"
        if written and not name.startswith("__"):
            yield name, found
