# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a graph does besides computing: which resources it changes, what chance it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, final

_CHANGES = re.compile(
    r"Assign\w*VariableOp|Resource(SparseApply|Apply|Scatter|StridedSliceAssign|Accumulator|CountUpTo)\w*"
    r"|LookupTable(Insert|Remove)V?\d?|Rng(Skip|ReadAndSkip)|Stateful(?!Partitioned)\w+|Iterator\w*GetNext\w*"
    r"|OptionalFromValue|(Queue|Stack|Barrier|TensorArray|Stage|MapStage)\w*(Enqueue|Push|Insert|Dequeue)\w*"
    r"|DestroyResourceOp|MutexLock"
)
"""Operations that change the resource that they are given."""
_CHANCE = re.compile(
    r"Random(?!GammaGrad|IndexShuffle|ShuffleQueue)\w*|ParameterizedTruncatedNormal|TruncatedNormal|Multinomial"
    r"|\w*CandidateSampler|SampleDistortedBoundingBox\w*"
)
"""Operations that draw random numbers from the state of the process."""
_SHUFFLES = re.compile(r"Shuffle(AndRepeat)?Dataset\w*")
_CONTROL = re.compile(r"(Stateful)?PartitionedCall|RemoteCall|(Stateless)?(While|If|Case)")
_SELECTING = re.compile(r"(Stateless)?(If|Case)")
"""Those whose first input selects a function and is not passed to it."""


@final
class Effects:
    """Answers questions about a graph and the functions in it.

    Args:
        graph: A ``GraphDef`` with its library.
    """

    def __init__(self, graph: Any) -> None:
        self.nodes: dict[str, Any] = {node.name: node for node in graph.node}
        self.functions: Mapping[str, Any] = {f.signature.name: f for f in graph.library.function}

    def all_nodes(self) -> Iterator[Any]:
        """Every node, in functions too."""
        yield from self.nodes.values()
        for function in self.functions.values():
            yield from function.node_def

    def ops(self) -> set[str]:
        """The names of all operations."""
        return {node.op for node in self.all_nodes()}

    def change_of(self, name: str) -> str | None:
        """The operation that changes a resource.

        Args:
            name: The node of the main graph that gives the resource.

        Returns:
            Its name, or None if nothing changes the resource.
        """
        return self._change(name, self.nodes.values(), frozenset())

    def chance(self) -> Any | None:
        """A node whose result differs from run to run, or None."""
        for node in self.all_nodes():
            if _CHANCE.fullmatch(node.op):
                return node
        return next((node for scope in self._scopes for node in self._unseeded(scope)), None)

    @cached_property
    def _scopes(self) -> list[dict[str, Any]]:
        inner = [{node.name: node for node in f.node_def} for f in self.functions.values()]
        return [self.nodes, *inner]

    @staticmethod
    def _unseeded(scope: dict[str, Any]) -> Iterator[Any]:
        """Data sets that are shuffled without a seed: those whose two seeds are the constant zero."""
        for node in scope.values():
            if _SHUFFLES.fullmatch(node.op):
                seeds = [scope.get(_source(name)) for name in list(node.input)[2:4]]
                if all(seed is not None and _is_zero(seed) for seed in seeds):
                    yield node

    def _change(self, name: str, nodes: Iterable[Any], seen: frozenset[tuple[str, str]]) -> str | None:
        """The operation that changes a resource in one scope, whose nodes are given."""
        nodes = list(nodes)
        for node in nodes:
            inputs = [_source(source) for source in node.input if not source.startswith("^")]
            if name not in inputs:
                continue
            if _CHANGES.fullmatch(node.op):
                return node.op
            found = (
                self._change(node.name, nodes, seen)
                if node.op in ("Identity", "IdentityN", "Enter", "Switch", "Merge")
                else self._change_inside(node, inputs, name, seen)
            )
            if found is not None:
                return found
        return None

    def _change_inside(
        self, node: Any, inputs: list[str], name: str, seen: frozenset[tuple[str, str]]
    ) -> str | None:
        """The same in the functions that a node calls."""
        for function in map(self.functions.get, _called(node)):
            if function is None:
                continue
            arguments = [argument.name for argument in function.signature.input_arg]
            for argument in _passed(node, inputs, name, arguments):
                key = (function.signature.name, argument)
                if key in seen:
                    continue
                found = self._change(argument, function.node_def, seen | {key})
                if found is not None:
                    return found
        return None


def _passed(node: Any, inputs: list[str], name: str, arguments: list[str]) -> Iterator[str]:
    """Which arguments of a called function an input may become."""
    if not _CONTROL.fullmatch(node.op):
        yield from arguments  # In data sets, captured values come behind the elements; any may be it.
        return
    given = inputs[1:] if _SELECTING.fullmatch(node.op) else inputs
    yield from (argument for argument, source in zip(arguments, given, strict=False) if source == name)


def _called(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _source(name: str) -> str:
    """The node that an input comes from."""
    return name.removeprefix("^").partition(":")[0]


def _is_zero(node: Any) -> bool:
    if node.op != "Const":
        return False
    tensor = node.attr["value"].tensor
    return not any(tensor.int64_val) and not any(tensor.tensor_content)
