# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.framework``: the documented part of what TFF is made of."""

from __future__ import annotations

from typing import Any

from foedus import lang
from foedus.tff._absent import Absent
from foedus.tff._computations import Computation
from foedus.tff.tensorflow import type_to_tf_tensor_specs
from foedus.tff.types import (
    Type,
    TypeNotAssignableError,
    TypesNotEquivalentError,
    UnexpectedTypeError,
    deserialize_type,
    serialize_type,
)
from foedus.wire import decode_program, encode_program

__all__ = [
    "AsyncExecutionContext",
    "Block",
    "Call",
    "CardinalitiesType",
    "CompiledComputation",
    "ComputationBuildingBlock",
    "ConcreteComputation",
    "Data",
    "ExecutionContext",
    "Executor",
    "ExecutorFactory",
    "Intrinsic",
    "Lambda",
    "Literal",
    "MergeableCompExecutionContext",
    "MergeableCompForm",
    "Placement",
    "Reference",
    "RemoteExecutor",
    "RemoteExecutorGrpcStub",
    "RemoteExecutorStub",
    "ResourceManagingExecutorFactory",
    "Selection",
    "SyncExecutionContext",
    "Type",
    "TypeNotAssignableError",
    "TypesNotEquivalentError",
    "UnexpectedTypeError",
    "deserialize_computation",
    "deserialize_type",
    "deserialize_value",
    "get_context_stack",
    "local_cpp_executor_factory",
    "local_executor_factory",
    "serialize_computation",
    "serialize_type",
    "serialize_value",
    "set_default_context",
    "set_default_executor",
    "sizing_executor_factory",
    "to_call_dominant",
    "transform_type_postorder",
    "type_to_tf_tensor_specs",
]


def serialize_computation(computation: Computation) -> bytes:
    """A computation as bytes, in the format of ``foedus.wire`` (not the protocol buffer that TFF writes).

    Args:
        computation: The computation.
    """
    return encode_program(computation.node)


def deserialize_computation(data: bytes) -> Computation:
    """The computation that ``serialize_computation`` wrote.

    Args:
        data: The bytes.
    """
    return Computation(lang.Computation(decode_program(data), "loaded"))


def set_default_context(context: Any) -> None:
    """Runs computations in a runtime from now on.

    Args:
        context: A runtime of Foedus, as ``tff.backends`` make them.
    """
    lang.set_default_runtime(context)


def get_context_stack() -> Any:
    """What runs computations now has a method ``install``: a context manager that puts a runtime in force."""
    return _Stack()


class _Stack:
    def install(self, context: Any) -> Any:
        """Runs computations in a runtime inside a ``with`` block."""
        return lang.use(context)

    @property
    def current(self) -> Any:
        """The runtime that is in force."""
        return lang.current()


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.framework.{name}", instead)


_TREES = "programs are trees of foedus.ir, and passes over them are in foedus.passes"
Block = _absent("Block", _TREES)
Call = _absent("Call", _TREES)
CompiledComputation = _absent("CompiledComputation", _TREES)
ComputationBuildingBlock = _absent("ComputationBuildingBlock", _TREES)
Data = _absent("Data", _TREES)
Intrinsic = _absent("Intrinsic", _TREES)
Lambda = _absent("Lambda", _TREES)
Literal = _absent("Literal", _TREES)
Placement = _absent("Placement", _TREES)
Reference = _absent("Reference", _TREES)
Selection = _absent("Selection", _TREES)
to_call_dominant = _absent("to_call_dominant", _TREES)
transform_type_postorder = _absent("transform_type_postorder", _TREES)
ConcreteComputation = _absent("ConcreteComputation", _TREES)
MergeableCompForm = _absent("MergeableCompForm", _TREES)
_RUNTIMES = "computations run in a runtime of Foedus, without executors"
AsyncExecutionContext = _absent("AsyncExecutionContext", _RUNTIMES)
CardinalitiesType = _absent("CardinalitiesType", _RUNTIMES)
ExecutionContext = _absent("ExecutionContext", _RUNTIMES)
Executor = _absent("Executor", _RUNTIMES)
ExecutorFactory = _absent("ExecutorFactory", _RUNTIMES)
MergeableCompExecutionContext = _absent("MergeableCompExecutionContext", _RUNTIMES)
RemoteExecutor = _absent("RemoteExecutor", _RUNTIMES)
RemoteExecutorGrpcStub = _absent("RemoteExecutorGrpcStub", _RUNTIMES)
RemoteExecutorStub = _absent("RemoteExecutorStub", _RUNTIMES)
ResourceManagingExecutorFactory = _absent("ResourceManagingExecutorFactory", _RUNTIMES)
SyncExecutionContext = _absent("SyncExecutionContext", _RUNTIMES)
local_cpp_executor_factory = _absent("local_cpp_executor_factory", _RUNTIMES)
local_executor_factory = _absent("local_executor_factory", _RUNTIMES)
set_default_executor = _absent("set_default_executor", _RUNTIMES)
sizing_executor_factory = _absent("sizing_executor_factory", _RUNTIMES)
_WIRE = "use foedus.wire.encode_value and decode_value"
serialize_value = _absent("serialize_value", _WIRE)
deserialize_value = _absent("deserialize_value", _WIRE)
