# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a graph does besides computing: which resources it changes, what else its result depends on.

A leaf is a function: its result follows from its arguments, whenever and wherever it is run. So an operation
whose result does not follow from its inputs is refused when the code is traced: one that draws random numbers
from the state of the process, asks the clock, touches files, or takes elements in the order in which threads
are ready with them. An operation that only shows something, such as ``tf.print``, changes no result and is
let through. So is Python code (``tf.py_function``), which nobody can look into: its author vouches for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from foedus.errors import TracingError, place
from foedus.frontends._tensorflow_lines import line_of_node

_CHANGES = re.compile(
    r"Assign\w*VariableOp|Resource(SparseApply|Apply|Scatter|StridedSliceAssign|Accumulator|CountUpTo)\w*"
    r"|LookupTable(Insert|Remove)V?\d?|Rng(Skip|ReadAndSkip)|Stateful(?!Partitioned)\w+|Iterator\w*GetNext\w*"
    r"|OptionalFromValue|(Queue|Stack|Barrier|TensorArray|Stage|MapStage)\w*(Enqueue|Push|Insert|Dequeue)\w*"
    r"|DestroyResourceOp|MutexLock"
)
"""Operations that change the resource that they are given."""
_CHANCE = re.compile(
    r"Random(?!GammaGrad|IndexShuffle|ShuffleQueue|Dataset)\w*|ParameterizedTruncatedNormal|TruncatedNormal"
    r"|Multinomial|\w*CandidateSampler|SampleDistortedBoundingBox\w*|NonDeterministicInts"
)
"""Operations that draw random numbers from the state of the process, or of the machine."""
_CLOCK = re.compile(r"Timestamp")
_FILES = re.compile(
    r"(Read|Write)File|\w*MatchingFiles(Dataset)?|Initialize\w*FromTextFile\w*|ImmutableConst|(TextLine|TFRecord|WholeFile|"
    r"Identity|LMDB|FixedLengthRecord)Reader(V\d)?|Reader(Read|NumRecords|NumWork|Reset|Restore|Serialize)\w*"
    r"|(TextLine|TFRecord|FixedLengthRecord|CSV|Sql|LMDB|Load|Snapshot|DataService)Dataset\w*"
    r"|\w*DatasetToTFRecord|RecordInput|SaveDataset\w*|(Save|Restore)(V2|Slices|Slice)?|DistributedSave"
    r"|MergeV2Checkpoints"
)
"""Operations that read or write files, or ask another process."""
_CACHES = re.compile(r"CacheDataset(V2)?")
_SEEDED = {
    re.compile(r"(Anonymous)?Shuffle(AndRepeat)?Dataset\w*"): slice(2, 4),
    re.compile(r"RandomDataset(V2)?"): slice(0, 2),
}
"""Data sets that draw, and which of their inputs are their two seeds."""
_DRAWN = re.compile(r"Rng(Skip|ReadAndSkip)|Stateful(?!Partitioned)\w+")
"""Operations that draw random numbers from a state that they are given, and change it."""
_CONTROL = re.compile(r"(Stateful)?PartitionedCall|RemoteCall|(Stateless)?(While|If|Case)")
_SELECTING = re.compile(r"(Stateless)?(If|Case)")
"""Those whose first input selects a function and is not passed to it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of influence.

    Args:
        what: What code does that has it; follows on the code's name.
        remedy: What to do about it.
        ops: The operations that always have it; others are looked into.
    """

    what: str
    remedy: str
    ops: re.Pattern[str] = re.compile("(?!)")

    def found(self, node: Any, scope: Mapping[str, Any]) -> bool:
        """Whether a node has it, among the nodes of its function."""
        return bool(self.ops.fullmatch(node.op)) or self is _looked_into(node, scope)


_RANDOM = _Kind(
    "draws random numbers that no key determines",
    "use tf.random.stateless_uniform and its kin, with a key as seed: tf.bitcast(key, tf.int32) of one that "
    "federated_key gives; give a data set that is shuffled a seed, and a layer of Keras a SeedGenerator",
    _CHANCE,
)
_TIME = _Kind("asks what time it is", "take the time outside, and make it an argument", _CLOCK)
_DISK = _Kind(
    "reads or writes files",
    "read them outside, and make what they hold an argument; a table may be made of them outside, "
    "and captured",
    _FILES,
)
_ORDER = _Kind(
    "takes elements in an order that nothing determines",
    "leave deterministic=False away",
)
_KINDS = (_RANDOM, _TIME, _DISK, _ORDER)


def _looked_into(node: Any, scope: Mapping[str, Any]) -> _Kind | None:
    """The influence of a node that has one or none, as it is told to."""
    inputs = [scope.get(_source(name)) for name in node.input]
    for ops, seeds in _SEEDED.items():
        if ops.fullmatch(node.op) and all(seed is not None and _is_zero(seed) for seed in inputs[seeds]):
            return _RANDOM
    if _CACHES.fullmatch(node.op) and not (inputs[1] is not None and _is_no_text(inputs[1])):
        return _DISK
    told = node.attr.get("deterministic")
    return _ORDER if told is not None and told.s == b"false" else None


@dataclass(frozen=True, slots=True)
class Influence:
    """Something beside the arguments that a result depends on.

    Args:
        kind: What it is.
        op: The operation that has it.
        node: The node of the main graph that is or calls it.
    """

    kind: _Kind
    op: str
    node: str

    def error(self, name: str, function: Any) -> TracingError:
        """The error that says so.

        Args:
            name: What the user's function is called.
            function: Its ``ConcreteFunction``.
        """
        return TracingError(
            f"The TensorFlow code {name!r} {self.kind.what}",
            found=self.op,
            expected="a pure function: the same whenever it is run, and wherever",
            at=line_of_node(function, self.node) or place(),
            hint=self.kind.remedy,
        )


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

    def influence(self) -> Influence | None:
        """What the result depends on beside the arguments, or None."""
        for function, scope in self._scopes.items():
            for node in scope.values():
                kind = next((kind for kind in _KINDS if kind.found(node, scope)), None)
                if kind is not None:
                    return Influence(kind, node.op, self._made(function, node))
        return None

    def draws_from(self, name: str) -> Influence | None:
        """The same for a generator of random numbers that comes from outside.

        Args:
            name: The node of the main graph that gives its state.
        """
        op = self.change_of(name)
        if op is None or not _DRAWN.fullmatch(op):
            return None
        found = ((f, node) for f, scope in self._scopes.items() for node in scope.values() if node.op == op)
        return Influence(_RANDOM, op, self._made(*next(found)))

    def _made(self, function: str, node: Any) -> str:
        """The node of the main graph that a node is, or that comes to call the function that it is in."""
        while function:
            calls = (
                (f, n) for f, scope in self._scopes.items() for n in scope.values() if function in _called(n)
            )
            function, node = next(calls, ("", node))
        return node.name

    @cached_property
    def _scopes(self) -> dict[str, dict[str, Any]]:
        """The nodes by name, of the main graph, which has no name, and of each function."""
        inner = {name: {node.name: node for node in f.node_def} for name, f in self.functions.items()}
        return {"": self.nodes, **inner}

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


def _is_no_text(node: Any) -> bool:
    return node.op == "Const" and not any(node.attr["value"].tensor.string_val)


def _is_zero(node: Any) -> bool:
    if node.op != "Const":
        return False
    tensor = node.attr["value"].tensor
    return not any(tensor.int64_val) and not any(tensor.tensor_content)
