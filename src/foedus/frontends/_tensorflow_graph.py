# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow leaves to bytes and back: one ``GraphDef`` that holds all that running the leaf needs.

```
offset  bytes  what
0       2      version of the convention, little endian
2       1      which way it was told to run: 0 for none, 1 natively, 2 lowered
3       -      a ``GraphDef`` with its function library
```

In the graph, nodes are numbered, and so are functions, so that equal code gives equal bytes. Placeholders
``argument_0``, ``argument_1``, ... take what ``_tensorflow_values`` says; identities ``result_0``, ... give
it. Captured tensors are constants. For each captured variable or table there is a placeholder
``resource_0``, ... and beside it constants ``resource_0_value`` or ``resource_0_keys`` and
``resource_0_values``; ``resource_0_no_keys`` and ``resource_0_no_values`` for a table that is filled in every
call. No line of the source travels, nor the name of a file.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.context import context

from foedus.errors import CorruptDataError, UnsupportedError, place
from foedus.foreign import Way
from foedus.frontends._tensorflow_captures import Captures, Table, Variable, is_anonymous
from foedus.frontends._tensorflow_effects import Effects
from foedus.frontends._tensorflow_ops import ALLOWED

CONVENTION = 2
HEAD = struct.Struct("<HB")

_WAYS = (None, Way.NATIVE, Way.LOWERED)
"""What a leaf was told, by its number."""

_FORGOTTEN = re.compile(r"_class|_output_shapes|_user_specified_name|_uid|_XlaHasReferenceVars")
_GRADIENT = "_gradient_op_type"
_CUSTOM = b"CustomGradient"
_FORGOTTEN_OF_FUNCTIONS = re.compile(
    r"forward_function_name|backward_function_name|_input_shapes|_construction_context|_uid"
)
"""Attributes that say where a graph comes from, and nothing of what it computes."""


@dataclass(frozen=True, slots=True)
class Portable:
    """A leaf's graph.

    Args:
        graph: The ``GraphDef``.
        obstacle: Why it cannot be written to bytes, None where it can.
    """

    graph: Any
    obstacle: str | None

    def content(self) -> bytes:
        """The graph as bytes; equal code gives equal ones."""
        return self.graph.SerializeToString(deterministic=True)


def portable(function: Any, captures: Captures, count: int) -> Portable:
    """The graph of a traced function, with everything that it captures.

    Args:
        function: A ``ConcreteFunction`` of flat tensors.
        captures: What it captures.
        count: How many arguments it has.

    Returns:
        The graph.
    """
    source = function.graph.as_graph_def()
    renamed = {tensor.op.name: f"argument_{i}" for i, tensor in enumerate(function.inputs[:count])}
    constants: dict[str, Any] = {}
    extra: list[Any] = []
    obstacle = None
    resources = 0
    for name, content in zip(captures.names, captures.contents, strict=True):
        if isinstance(content, Variable | Table):
            renamed[name] = f"resource_{resources}"
            extra += _beside(content, renamed[name])
            resources += 1
        elif content.dtype == tf.variant:
            obstacle = "a data set that it captures, which is no constant"
        else:
            constants[name] = content
    graph = tf.compat.v1.GraphDef()
    graph.versions.CopyFrom(source.versions)
    _copy_nodes(source, graph, renamed, constants)
    graph.node.extend(extra)
    graph.node.extend(_results(function, renamed))
    graph.library.CopyFrom(source.library)
    _rename_functions(graph)
    return Portable(graph, obstacle or _forbidden(graph))


def content_of_call(parameters: Mapping[str, Any]) -> bytes | None:
    """The content of TensorFlow code that a program of JAX embeds.

    Args:
        parameters: What JAX keeps of a ``call_tf``.

    Returns:
        The graph as bytes, or None where it captures what no graph holds.
    """
    specs = parameters["args_flat_sig_tf"]
    return content_of_function(parameters["function_flat_tf"].get_concrete_function(*specs), len(specs))


def content_of_function(function: Any, count: int) -> bytes | None:
    """The content of a traced function.

    Args:
        function: A ``ConcreteFunction`` of flat tensors.
        count: How many arguments it has.

    Returns:
        The graph as bytes, or None where it captures what no graph holds.
    """
    captured = tuple(function.captured_inputs)
    if any(tensor.dtype in (tf.resource, tf.variant) for tensor in captured):
        return None
    names = tuple(tensor.op.name for tensor in function.inputs[count:])
    return portable(function, Captures(names, captured, captured, captured), count).content()


def _copy_nodes(source: Any, graph: Any, renamed: dict[str, str], constants: dict[str, Any]) -> None:
    for i, node in enumerate(source.node):
        renamed.setdefault(node.name, f"n{i}")
    for node in source.node:
        made = graph.node.add()
        if node.name in constants and node.op == "Placeholder":
            made.CopyFrom(_constant(renamed[node.name], constants[node.name].numpy()))
            continue
        made.CopyFrom(node)
        made.name = renamed[node.name]
        _rename_inputs(made, renamed)
        _forget(made)


def _forget(node: Any) -> None:
    node.device = ""
    node.ClearField("experimental_debug_info")
    node.ClearField("experimental_type")
    for key in [key for key in node.attr if _FORGOTTEN.fullmatch(key)]:
        del node.attr[key]
    gradient = node.attr[_GRADIENT].s if _GRADIENT in node.attr else b""
    if gradient.startswith(_CUSTOM):
        # Python code, which does not travel: asked for this gradient, a loaded leaf says that it is gone.
        node.attr[_GRADIENT].s = _CUSTOM
    elif gradient:
        del node.attr[_GRADIENT]


def _rename_inputs(node: Any, renamed: dict[str, str]) -> None:
    """Renames a node's inputs; those that it only waits for are sorted, since TensorFlow keeps a set."""
    inputs = [_renamed(name, renamed) for name in node.input]
    operands = [name for name in inputs if not name.startswith("^")]
    del node.input[:]
    node.input.extend([*operands, *sorted(name for name in inputs if name.startswith("^"))])


def _renamed(name: str, renamed: dict[str, str]) -> str:
    control = "^" if name.startswith("^") else ""
    source, colon, output = name.removeprefix("^").partition(":")
    return f"{control}{renamed[source]}{colon}{output}"


def _constant(name: str, value: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    tensor = tf.make_tensor_proto(value)
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def _beside(content: Variable | Table, name: str) -> Iterator[Any]:
    """The constants that hold what a resource is made of."""
    if isinstance(content, Variable):
        yield _constant(f"{name}_value", content.value)
        return
    no = "" if content.filled else "no_"
    for what, column in ((f"{no}keys", content.keys), (f"{no}values", content.values)):
        node = _constant(f"{name}_{what}", np.zeros(0, np.int32))
        # Made for the dtype of the table: of empty strings NumPy would make numbers.
        tensor = tf.make_tensor_proto(column.numpy(), dtype=column.dtype, shape=column.shape)
        node.attr["dtype"].type = tensor.dtype
        node.attr["value"].tensor.CopyFrom(tensor)
        yield node


def _results(function: Any, renamed: dict[str, str]) -> Iterator[Any]:
    """Identities for the results, behind everything that must have run."""
    control = sorted(f"^{renamed[op.name]}" for op in function.graph.control_outputs)
    for i, tensor in enumerate(function.outputs):
        node = tf.compat.v1.NodeDef(name=f"result_{i}", op="Identity")
        node.input.extend([_renamed(tensor.name.removesuffix(":0"), renamed), *control])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
        yield node


def _rename_functions(graph: Any) -> None:
    """Numbers the functions in the order in which the graph reaches them; drops those that it does not."""
    library = {function.signature.name: function for function in graph.library.function}
    names: dict[str, str] = {}
    kept: list[Any] = []

    def visit(nodes: Iterable[Any]) -> None:
        for node in nodes:
            for _, value in sorted(node.attr.items()):
                for called in _functions(value):
                    reach(called)

    def reach(called: Any) -> None:
        if called.name not in library:
            return
        if called.name not in names:
            names[called.name] = f"f{len(names)}"
            function = library[called.name]
            kept.append(function)
            for node in function.node_def:
                _forget(node)
            visit(function.node_def)
        called.name = names[called.name]

    visit(graph.node)
    made = [type(function).FromString(function.SerializeToString()) for function in kept]
    for function in made:
        function.signature.name = names[function.signature.name]
        _number(function)
    graph.ClearField("library")
    graph.library.function.extend(made)


def _number(function: Any) -> None:
    """Numbers what is inside a function, and forgets where it comes from."""
    signature = function.signature
    renamed = {argument.name: f"a{i}" for i, argument in enumerate(signature.input_arg)}
    renamed |= {node.name: f"n{i}" for i, node in enumerate(function.node_def)}
    for item in (*signature.input_arg, *function.node_def):
        item.name = renamed[item.name]
    for node in function.node_def:
        _rename_inputs(node, renamed)
    results = [_renamed(function.ret[argument.name], renamed) for argument in signature.output_arg]
    control = sorted(renamed[function.control_ret[name]] for name in signature.control_output)
    for name in ("ret", "control_ret", "arg_attr", "resource_arg_unique_id"):
        function.ClearField(name)
    signature.ClearField("control_output")
    for i, (argument, source) in enumerate(zip(signature.output_arg, results, strict=True)):
        argument.name = f"r{i}"
        function.ret[argument.name] = source
    for i, source in enumerate(control):
        signature.control_output.append(f"c{i}")
        function.control_ret[f"c{i}"] = source
    for key in [key for key in function.attr if _FORGOTTEN_OF_FUNCTIONS.fullmatch(key)]:
        del function.attr[key]


def _functions(value: Any) -> Iterator[Any]:
    if value.HasField("func"):
        yield value.func
    yield from value.list.func


def _forbidden(graph: Any) -> str | None:
    """Which operations of a graph may not travel, or None."""
    effects = Effects(graph)
    found = sorted(effects.ops() - ALLOWED)
    if found:
        return ", ".join(found[:8])
    shared = [node for node in effects.all_nodes() if node.op == "VarHandleOp" and not is_anonymous(node)]
    return "a variable that other calls can see" if shared else None


def write(leaf: Portable, name: str, way: Way | None) -> bytes:
    """A leaf's graph as bytes.

    Args:
        leaf: The graph.
        name: What the user's function is called.
        way: Which way it was told to run.

    Returns:
        The bytes.

    Raises:
        UnsupportedError: If it does what no leaf that travels may.
    """
    if leaf.obstacle is None:
        return HEAD.pack(CONVENTION, _WAYS.index(way)) + leaf.content()
    raise UnsupportedError(
        f"The TensorFlow code {name!r} cannot be written to bytes",
        found=leaf.obstacle,
        expected="operations that only compute: no files, no network, no Python, no state of the process",
        at=place(),
    )


def read(data: bytes, refuse: Callable[[str], NoReturn]) -> tuple[Any, Way | None]:
    """Reads a graph, and refuses operations that touch more than their operands.

    Args:
        data: What ``write`` gave.
        refuse: Raises, given what was found.

    Returns:
        The ``GraphDef``, and which way it was told to run.

    Raises:
        CorruptDataError: If it is none.
        UnsupportedError: If an operation is not one of those that only compute.
    """
    if len(data) < HEAD.size:
        refuse(f"{len(data)} bytes")
    convention, way = HEAD.unpack_from(data)
    if convention != CONVENTION:
        refuse(f"calling convention {convention}")
    if way >= len(_WAYS):
        refuse(f"the way {way}")
    try:
        graph = tf.compat.v1.GraphDef.FromString(data[HEAD.size :])
    except Exception as error:
        refuse(f"{type(error).__name__}: {error}")
    forbidden = _forbidden(graph)
    if forbidden is None:
        return graph, _WAYS[way]
    raise UnsupportedError(
        "A stored TensorFlow leaf does more than compute",
        found=forbidden,
        expected="operations that touch no files, no network, no Python and no state of the process",
        at=place(),
    )


def resources(graph: Any) -> list[Variable | Table]:
    """What a graph that was read needs beside its arguments, in order.

    Args:
        graph: The ``GraphDef``.

    Returns:
        The variables and tables.

    Raises:
        CorruptDataError: If their contents are not in the graph.
    """
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    count = sum(node.op == "Placeholder" and node.name.startswith("resource_") for node in graph.node)
    return [_resource(constants, f"resource_{i}") for i in range(count)]


def _resource(constants: dict[str, Any], name: str) -> Variable | Table:
    def tensor(what: str) -> Any:
        node = constants.get(f"{name}_{what}")
        if node is None:
            raise CorruptDataError(
                "The stored leaf cannot be read", found=f"no {what} for {name}", at=place()
            )
        return tf.constant(tf.make_ndarray(node.attr["value"].tensor), tf.as_dtype(node.attr["dtype"].type))

    if f"{name}_value" in constants:
        value = tensor("value")
        return Variable(value.numpy(), value.shape)
    filled = f"{name}_keys" in constants
    no = "" if filled else "no_"
    return Table(tensor(f"{no}keys"), tensor(f"{no}values"), filled=filled)


def _with_own_names(graph: Any) -> Any:
    """A copy whose functions have names of their own, since a process has one space of them."""
    made = type(graph)()
    made.CopyFrom(graph)
    prefix = f"leaf_{hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()[:24]}_"
    own = {function.signature.name for function in made.library.function}
    for node in Effects(made).all_nodes():
        for value in node.attr.values():
            for called in _functions(value):
                called.name = prefix + called.name if called.name in own else called.name
    for function in made.library.function:
        function.signature.name = prefix + function.signature.name
    return made


def imported(graph: Any, flat: Iterable[Any], handles: Iterable[Any], count: int) -> list[Any]:
    """Puts a graph into the function that is being traced.

    Args:
        graph: The ``GraphDef``.
        flat: The arguments.
        handles: The handles of its resources.
        count: How many results it has.

    Returns:
        The results.
    """
    given = {f"argument_{i}": tensor for i, tensor in enumerate(flat)}
    given |= {f"resource_{i}": tf.convert_to_tensor(handle) for i, handle in enumerate(handles)}
    names = [f"result_{i}:0" for i in range(count)]
    own = _with_own_names(graph)
    # XLA has no placeholders, so they are left out; the importer refuses values for what nobody reads.
    kept = [node for node in own.node if node.name not in given]
    own.ClearField("node")
    own.node.extend(kept)
    read = {name.removeprefix("^").partition(":")[0] for node in kept for name in node.input}
    given = {name: tensor for name, tensor in given.items() if name in read}
    for function in own.library.function:
        # The importer makes them known to this graph; data sets ask the process for theirs.
        if not context().has_function(function.signature.name):
            context().add_function_def(function)
    return tf.graph_util.import_graph_def(own, given, return_elements=names, name="")
