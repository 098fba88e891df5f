# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which TensorFlow code XLA compiles to the same numbers, and the reasons why it does not.

What XLA would compute otherwise than TensorFlow does natively is not lowered. A loop has a gradient there
only if its length is known when it is traced (``maximum_iterations`` of ``tf.while_loop``, as recurrent
layers have it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import tensorflow as tf

from foedus.errors import TracingError, place
from foedus.frontends._tensorflow_captures import Captures
from foedus.frontends._tensorflow_effects import Effects
from foedus.frontends._tensorflow_in_jax import compiled, lowered
from foedus.frontends._tensorflow_lines import complaint, line_of_node
from foedus.types import STRING, Function, Sequence, Struct, Tensor, Type, walk

_DIFFERENT = re.compile(r"Stateless(Random(?!Get)|Truncated|Multinomial|Parameterized|Shuffle)\w*")
"""Random numbers, which XLA draws from the same seed in another way."""
_BOUNDED = re.compile(r"[\[,]<=\d")
"""How XLA writes a length of which it knows a bound only."""
_UNSUPPORTED = re.compile(r"[:\s](\w+) \(No registered")
"""How TensorFlow names an operation that it cannot compile."""
_NAMED = re.compile(r"\bwith op ([A-Z]\w*)|\[Op:([A-Z]\w*)\]")
"""How it names one that it can compile with constants only."""
_OF_DATA = frozenset(
    {"Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "DynamicPartition", "ListDiff"}
)
"""Operations whose result has a shape that depends on values."""
PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
"""Operations that call Python."""
_CHECKS = frozenset({"Assert", "CheckNumerics", "CheckNumericsV2"})
_SAMPLE = 3
"""The length that stands for unknown ones where a lowering is tried."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why code cannot be lowered.

    Args:
        reason: The reason.
        operation: The operation of TensorFlow that is at fault, None where it is no single one.
    """

    reason: str
    operation: str | None

    def __str__(self) -> str:
        return self.reason if self.operation is None else f"{self.operation}: {self.reason}"


def _obstacle_in_type(type_: Function, graph: Any) -> Obstacle | None:
    """What a leaf's type has against lowering.

    Args:
        type_: The type.
        graph: The leaf's graph.

    Returns:
        The first obstacle, or None.
    """
    ops = Effects(graph).ops()
    for part in [*([] if type_.parameter is None else walk(type_.parameter)), *walk(type_.result)]:
        if isinstance(part, Sequence):
            reason = "it takes or gives a sequence as a tf.data.Dataset, which XLA does not compile"
            return Obstacle(reason, one_of(op for op in ops if "Dataset" in op))
        if isinstance(part, Tensor) and part.dtype == STRING:
            return Obstacle("there are strings", one_of(op for op in ops if "String" in op))
        if isinstance(part, Tensor) and part.shape is None:
            return Obstacle("there are tensors of unknown rank", None)
    return None


def _obstacle_in_graph(graph: Any) -> Obstacle | None:
    """What the operations of a graph have against lowering, as far as their names tell.

    Args:
        graph: The graph.

    Returns:
        The first obstacle, or None.
    """
    ops = Effects(graph).ops()
    if ops & PYTHON:
        return Obstacle("it calls Python", one_of(ops & PYTHON))
    drawn = one_of(op for op in ops if _DIFFERENT.fullmatch(op))
    if drawn is not None:
        return Obstacle("XLA draws other random numbers than TensorFlow does natively", drawn)
    if ops & _CHECKS:
        return Obstacle("it checks its data with assertions, which XLA leaves out", one_of(ops & _CHECKS))
    return None


def obstacle_of_xla(fn: Callable[..., Any], specs: list[Any], graph: Any) -> Obstacle | None:
    """Why TensorFlow cannot lower a function to XLA, found out by doing it once.

    Args:
        fn: The function over tensors.
        specs: What it takes; lengths that are not known are given some.
        graph: Its graph, to name operations.

    Returns:
        The obstacle, or None.
    """
    known = [tf.TensorSpec([_SAMPLE if n is None else n for n in s.shape], s.dtype) for s in specs]
    try:
        text = compiled(fn).experimental_get_compiler_ir(*known)(stage="hlo")
    except Exception as error:
        unknown = _UNSUPPORTED.search(str(error))
        if unknown is not None:
            return Obstacle("XLA has no such operation", unknown.group(1))
        said = complaint(error).removeprefix("Failed getting HLO text: '")
        line = said.splitlines()[0][:200] if said else str(error)
        return Obstacle(f"TensorFlow cannot compile it with XLA: {line}", _operation_in(str(error), graph))
    if _BOUNDED.search(text):
        reason = "the shape of something in it depends on its data, which XLA only bounds"
        return Obstacle(reason, one_of(Effects(graph).ops() & _OF_DATA))
    return None


def leaf_in_jax(
    function: Any, type_: Function, graph: Any, captures: Captures
) -> Callable[[Any], Any] | Obstacle:
    """A leaf as a function that JAX traces.

    Args:
        function: The ``ConcreteFunction``, from flat tensors to flat tensors; it knows of gradients that its
            author defined, which its graph does not.
        type_: The leaf's type.
        graph: Its graph.
        captures: What it captures.

    Returns:
        The function, or why there is none.
    """
    variables = [kept for kept in captures.alive if isinstance(kept, tf.Variable)]

    def apply(*flat: Any) -> list[Any]:
        for variable in variables:
            variable.read_value()  # JAX asks the graph around it which variables there are.
        return function(*flat)

    count = len(function.inputs) - len(function.captured_inputs)
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in function.inputs[:count]]
    found = _obstacle_in_graph(graph) or _obstacle_in_type(type_, graph)
    found = found or obstacle_of_xla(apply, specs, graph)
    if found is not None:
        return found
    call = lowered(apply)

    def plain_call(plain: Any) -> Any:
        flat = [jnp.asarray(array) for array in jax.tree.leaves(plain)]
        return _packed(iter(call(flat)), type_.result)

    return plain_call


def _packed(flat: Any, type_: Type) -> Any:
    if isinstance(type_, Struct):
        return tuple(_packed(flat, t) for _, t in type_.fields)
    return next(flat)


def refuse_lowering(name: str, found: Obstacle, function: Any) -> NoReturn:
    """Says that code that was told to be lowered cannot be.

    Args:
        name: What the code is called.
        found: Why.
        function: The ``ConcreteFunction``, which knows the user's lines.

    Raises:
        TracingError: Always.
    """
    at = None if found.operation is None else _line_of_operation(function, found.operation)
    raise TracingError(
        f"The TensorFlow code {name!r} was told to be lowered to XLA, and cannot be",
        found=str(found),
        expected="operations over numbers that XLA compiles exactly",
        at=at or place(),
        hint="leave out way=Way.LOWERED, and it runs natively",
    )


def _line_of_operation(function: Any, operation: str) -> str | None:
    of_it = (o.name for o in function.graph.get_operations() if o.type == operation)
    return next((line for name in of_it if (line := line_of_node(function, name)) is not None), None)


def _operation_in(text: str, graph: Any) -> str | None:
    """The operation that an error of TensorFlow names."""
    found = _NAMED.search(text)
    named = next((group for group in found.groups() if group), None) if found else None
    return named or one_of(op for op in Effects(graph).ops() if re.search(rf"\b{re.escape(op)}\b", text))


def one_of(names: Iterable[str]) -> str | None:
    """The first of some names, so that the same one is told each time."""
    return min(names, default=None)
