# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Python functions over tensors to leaves: traced once, to one concrete function of flat tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, final

import tensorflow as tf
from tensorflow.python.autograph.core import config as autograph

from foedus.errors import CorruptDataError, FoedusError, TracingError, place
from foedus.foreign import Way
from foedus.frontends._authorship import line_of, name_of
from foedus.frontends._jax_constants import warn_of_large
from foedus.frontends._spreading import spreads
from foedus.frontends._tensorflow_captures import Captures, Table, Variable, freeze, own_variables
from foedus.frontends._tensorflow_effects import Effects
from foedus.frontends._tensorflow_graph import Portable, imported, portable, resources
from foedus.frontends._tensorflow_lines import complaint, users_line
from foedus.frontends._tensorflow_values import (
    flat_specs,
    from_flat,
    from_user,
    result_specs,
    result_type,
    to_flat,
    to_user,
)
from foedus.types import Function, Struct, Type

# AutoGraph reads the sources of all that a user's function calls, and complains where it cannot. There is
# nothing for it to convert in ours and in JAX's.
autograph.CONVERSION_RULES = (
    autograph.DoNotConvert("foedus"),
    autograph.DoNotConvert("jax"),
    *autograph.CONVERSION_RULES,
)


@final
@dataclass(frozen=True, eq=False)
class TensorflowLeaf:
    """The payload of a leaf.

    Args:
        name: What the user's function is called.
        type: Its type.
        function: The ``ConcreteFunction``, from flat tensors to flat tensors.
        captures: What it captures.
        portable: Its graph, with everything that it captures.
        way: Which way it was told to run in the local runtime.
        line: Where its author wrote it; None where that is not known.
    """

    name: str
    type: Function
    function: Any
    captures: Captures
    portable: Portable
    way: Way | None
    line: str | None
    lowered: list[Any] = field(default_factory=list, repr=False)
    """Its form for JAX, or what is against one, once it was asked for."""

    def run(self, plain: Any) -> Any:
        """Applies it to a plain argument."""
        flat = [] if self.type.parameter is None else list(to_flat(plain, self.type.parameter))
        try:
            return from_flat(iter(self.function(*flat)), self.type.result)
        except tf.errors.OpError as error:
            raise _shortened(error) from error


def _shortened(error: Any) -> Exception:
    """The same error without TensorFlow's stack; it knows the user's line that made the operation."""
    short = type(error)(None, None, complaint(error))
    short.users_line = users_line(error)
    return short


def trace(fn: Callable[..., Any], parameter: Type | None, way: Way | None) -> TensorflowLeaf:
    """Traces a function.

    Args:
        fn: The user's function; AutoGraph converts it, as ``tf.function`` does.
        parameter: The type of its argument, None where it takes none.
        way: Which way it is told to run.

    Returns:
        The leaf.

    Raises:
        TracingError: If TensorFlow or the language cannot make sense of it, or it is not pure.
    """
    name = name_of(fn)
    spread = spreads(fn, parameter)
    results: list[Type] = []
    converted = tf.__internal__.autograph.tf_convert(fn, tf.__internal__.autograph.control_status_ctx(), True)

    def flat(*tensors: Any) -> list[Any]:
        with own_variables():
            value = converted(*_arguments(iter(tensors), parameter, spread=spread))
            results.append(result_type(value))
            return list(from_user(value))

    specs = [] if parameter is None else list(flat_specs(parameter))
    try:
        function = tf.function(flat, autograph=False).get_concrete_function(*specs)
    except FoedusError:
        raise
    except Exception as error:
        raise TracingError(
            f"TensorFlow cannot trace {name!r}",
            found=f"{type(error).__name__}: {complaint(error)}",
            expected=f"a function of {parameter}" if parameter else "a function",
            at=users_line(error) or place(),
        ) from error
    effects = Effects(function.graph.as_graph_def())
    _refuse_influence(function, effects, name, len(specs))
    captures = freeze(function, effects, len(specs), name)
    leaf = portable(function, captures, len(specs))
    warn_of_large(_constants(captures), name)
    type_ = Function(parameter, results[-1])
    return TensorflowLeaf(name, type_, function, captures, leaf, way, line_of(fn))


def _arguments(flat: Iterator[Any], parameter: Type | None, *, spread: bool) -> list[Any]:
    if parameter is None:
        return []
    if spread and isinstance(parameter, Struct):
        return [to_user(flat, t) for _, t in parameter.fields]
    return [to_user(flat, parameter)]


def _constants(captures: Captures) -> Iterator[Any]:
    for content in captures.contents:
        if isinstance(content, Variable):
            yield content.value
        elif not isinstance(content, Table) and content.dtype not in (tf.variant, tf.string):
            yield content.numpy()


def _refuse_influence(function: Any, effects: Effects, name: str, count: int) -> None:
    """Refuses code whose result depends on more than its arguments, of which there are so many."""
    captured = (effects.draws_from(tensor.op.name) for tensor in function.inputs[count:])
    found = effects.influence() or next((drawn for drawn in captured if drawn is not None), None)
    if found is not None:
        raise found.error(name, function)


def load(graph: Any, type_: Function, way: Way | None) -> TensorflowLeaf:
    """Makes a leaf of a graph that was read.

    Args:
        graph: The ``GraphDef``; see ``_tensorflow_graph``.
        type_: The leaf's type.
        way: Which way it was told to run.

    Returns:
        The leaf.

    Raises:
        CorruptDataError: If the graph has another type.
    """
    contents = tuple(resources(graph))
    made = [content.make() for content in contents]
    specs = [] if type_.parameter is None else list(flat_specs(type_.parameter))
    wanted = list(result_specs(type_.result))

    def stored(*tensors: Any) -> list[Any]:
        results = imported(graph, tensors, [handle for _, handle in made], len(wanted))
        for result, spec in zip(results, wanted, strict=True):
            if result.dtype != spec.dtype or not spec.shape.is_compatible_with(result.shape):
                raise CorruptDataError(
                    "The stored leaf cannot be read",
                    found=f"the result {result.dtype.name}{result.shape} where {spec} should be",
                    expected=f"code of type {type_}",
                    at=place(),
                )
        return [tf.ensure_shape(r, s.shape) for r, s in zip(results, wanted, strict=True)]

    function = tf.function(stored, autograph=False).get_concrete_function(*specs)
    names = tuple(f"resource_{i}" for i in range(len(contents)))
    captures = Captures(names, contents, tuple(h for _, h in made), tuple(kept for kept, _ in made))
    return TensorflowLeaf("a loaded leaf", type_, function, captures, Portable(graph, None), way, None)
