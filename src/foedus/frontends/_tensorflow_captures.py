# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a traced function captures: frozen into the leaf, or refused where the function changes it.

Eager tensors are constants. Variables and lookup tables that the function only reads are copied, each once,
when it is traced. Variables that the function itself makes are new in every call, so that no client meets
what another one left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from foedus.errors import TracingError, place
from foedus.frontends._tensorflow_effects import Effects

_ANONYMOUS = "cd2c89b7-88b7-44c8-ad83-06c2a9158347"
"""The shared name by which TensorFlow knows a resource that is new in every call."""
_FINDS = ("LookupTableFind", "LookupTableFindV2")


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A captured variable.

    Args:
        value: Its value when the function was traced.
        shape: The shape that it is declared with; a ``tf.TensorShape``.
    """

    value: Any
    shape: Any

    def make(self) -> tuple[Any, Any]:
        """A variable with this value: what keeps it alive, and its handle."""
        variable = tf.Variable(self.value, trainable=False, shape=self.shape)
        return variable, variable.handle


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A captured lookup table.

    Args:
        keys: Its keys.
        values: Its values, one for each key.
        filled: Whether it is filled here, and not in every call of the function.
    """

    keys: Any
    values: Any
    filled: bool

    def make(self) -> tuple[Any, Any]:
        """A table with this content: what keeps it alive, and its handle."""
        dtypes = {"key_dtype": self.keys.dtype, "value_dtype": self.values.dtype}
        if self.filled and not len(self.keys):
            # The other sort of table counts as not yet filled while it is empty.
            handle = tf.raw_ops.AnonymousMutableHashTable(**dtypes)
            return handle, handle
        handle = tf.raw_ops.AnonymousHashTable(**dtypes)
        if self.filled:
            tf.raw_ops.LookupTableImportV2(table_handle=handle, keys=self.keys, values=self.values)
        return handle, handle


@dataclass(frozen=True, slots=True, eq=False)
class Captures:
    """What a function captures, in the order of its captured inputs.

    Args:
        names: The nodes that stand for them in the graph.
        contents: A ``Variable``, a ``Table``, or an eager tensor each.
        handles: What is passed to the function instead.
        alive: What keeps the handles usable.
    """

    names: tuple[str, ...]
    contents: tuple[Any, ...]
    handles: tuple[Any, ...]
    alive: tuple[Any, ...]


@contextmanager
def own_variables() -> Iterator[None]:
    """While a function is traced: variables that it makes are made anew in every call."""
    with tf.variable_creator_scope(_create):
        yield


def _create(next_creator: Callable[..., Any], **options: Any) -> Any:
    """Makes a variable inside the graph, whatever was to make it; see ``tf.variable_creator_scope``."""
    initial = options.get("initial_value")
    value = tf.convert_to_tensor(initial() if callable(initial) else initial, dtype=options.get("dtype"))
    shape = value.shape if options.get("shape") is None else tf.TensorShape(options["shape"])
    handle = tf.raw_ops.VarHandleOp(dtype=value.dtype, shape=shape, shared_name=_ANONYMOUS)
    tf.raw_ops.AssignVariableOp(resource=handle, value=value)
    name = options.get("name") or "Variable"
    return BaseResourceVariable(
        trainable=options.get("trainable") is not False,
        shape=shape,
        dtype=value.dtype,
        handle=handle,
        name=name,
        handle_name=name,
        in_graph_mode=True,
    )


def is_anonymous(node: Any) -> bool:
    """Whether a node makes a variable that is new in every call."""
    return node.attr["shared_name"].s.decode() == _ANONYMOUS


def freeze(function: Any, effects: Effects, count: int, name: str) -> Captures:
    """Copies what a function captures, and makes it use the copies.

    Args:
        function: A ``ConcreteFunction``; changed.
        effects: What its graph does.
        count: How many arguments it has.
        name: What the user's function is called.

    Returns:
        What it captures.

    Raises:
        TracingError: If it changes what it captures, or captures a state that cannot be copied.
    """
    placeholders = [tensor.op.name for tensor in function.inputs[count:]]
    variables = {id(variable.handle): variable for variable in function.variables}
    contents: list[Any] = []
    handles: list[Any] = []
    alive: list[Any] = []
    for placeholder, captured in zip(placeholders, function.captured_inputs, strict=True):
        if captured.dtype == tf.resource:
            content = _content(captured, variables.get(id(captured)), effects, placeholder, name)
            kept, handle = content.make()
        else:
            content = kept = handle = captured
        contents.append(content)
        handles.append(handle)
        alive.append(kept)
    if handles:
        function.set_external_captures(handles)
    return Captures(tuple(placeholders), tuple(contents), tuple(handles), tuple(alive))


def _content(handle: Any, variable: Any, effects: Effects, placeholder: str, name: str) -> Variable | Table:
    what = "a lookup table" if variable is None else f"the variable {variable.name!r}"
    change = effects.change_of(placeholder)
    if change is not None:
        raise TracingError(
            f"The TensorFlow code {name!r} changes {what}, which it captures",
            found=f"{change} on a state outside of the function",
            expected="a pure function: the same for every client, whoever came before",
            at=place(),
            hint="make it inside the function, where it is new in every call, or make it an argument",
        )
    if variable is not None:
        return Variable(variable.read_value().numpy(), variable.shape)
    table = _table(handle, effects)
    if table is None:
        raise TracingError(
            f"The TensorFlow code {name!r} captures a state that cannot be copied",
            found="a resource that is no variable, and no lookup table that it looks into",
            expected="variables and tables that it only reads, tensors, and data sets",
            at=place(),
            hint="make it inside the function",
        )
    return table


def _table(handle: Any, effects: Effects) -> Table | None:
    """A table's content. Its dtypes are found out before: to export it with others ends the process."""
    finds = [node for node in effects.all_nodes() if node.op in _FINDS]
    pairs = {(node.attr["Tin"].type, node.attr["Tout"].type) for node in finds}
    for key, value in sorted(pairs):
        key_dtype, value_dtype = tf.as_dtype(key), tf.as_dtype(value)
        try:
            tf.raw_ops.LookupTableFindV2(
                table_handle=handle, keys=tf.zeros(0, key_dtype), default_value=tf.zeros((), value_dtype)
            )
        except tf.errors.FailedPreconditionError:
            return Table(_nothing(key_dtype), _nothing(value_dtype), filled=False)
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            continue
        keys, values = tf.raw_ops.LookupTableExportV2(
            table_handle=handle, Tkeys=key_dtype, Tvalues=value_dtype
        )
        return Table(keys, values, filled=True)
    return None


def _nothing(dtype: Any) -> Any:
    return tf.constant(np.zeros(0, dtype=dtype.as_numpy_dtype), dtype)
