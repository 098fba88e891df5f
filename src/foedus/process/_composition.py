# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes made of processes: one after another, or side by side."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

from foedus.errors import CompositionError, place
from foedus.lang import Computation, computation, federated_value, federated_zip
from foedus.process._process import Output, Process
from foedus.process._state import path_elsewhere
from foedus.types import SERVER, Federated, Struct, Type, difference, show, walk

_SHAPE = "(<S@SERVER,V> -> <state=S@SERVER,result=R,measurements=M@SERVER>)"


def chain(processes: Mapping[str, Process]) -> Process:
    """Processes in series: what one gives as its result is what the next one takes as its value.

    Args:
        processes: Processes by name, in the order in which they run. The ``next`` of each takes a state and
            one value, its ``initialize`` takes nothing, and its measurements are at the server.

    Returns:
        A process that takes the value of the first one and gives the result of the last one. With names
        ``a`` and ``b`` its state is ``<a=A,b=B>@SERVER``, of the states ``A`` and ``B`` of the two, and its
        measurements are ``<a=M,b=N>@SERVER``; both come back as an ``OrderedDict``.

    Raises:
        CompositionError: If there are no processes, one has another shape, or a result is not what comes
            next takes, in type or in placement.

    Example:
        >>> import foedus as fd
        >>> from foedus.process import Output, Process
        >>> @fd.computation
        ... def nothing():
        ...     return fd.federated_value((), fd.SERVER)
        >>> @fd.computation(fd.at_server(fd.to_type(())), fd.at_clients(fd.float32))
        ... def halve(state, value):
        ...     return Output(state, fd.federated_map(lambda v: v / 2, value), state)
        >>> @fd.computation(fd.at_server(fd.to_type(())), fd.at_clients(fd.float32))
        ... def average(state, value):
        ...     return Output(state, fd.federated_mean(value), state)
        >>> both = chain({"halve": Process(nothing, halve), "average": Process(nothing, average)})
        >>> float(both.next(both.initialize(), [1.0, 3.0]).result)
        1.0
    """
    parts = _parts("chain", processes)
    for (one, before), (other, after) in itertools.pairwise(parts.items()):
        _require_passes(one, before.result_type, other, _value_type(after))
    initialize = _initialize(parts)

    @computation(initialize.type.result, _value_type(next(iter(parts.values()))))
    def next_(state: Any, value: Any) -> Any:
        states: OrderedDict[str, Any] = OrderedDict()
        measurements: OrderedDict[str, Any] = OrderedDict()
        for i, (name, process) in enumerate(parts.items()):
            step = process.next(state[i], value)
            states[name], value, measurements[name] = step.state, step.result, _placed(step.measurements)
        return Output(federated_zip(states), value, federated_zip(measurements))

    return Process(initialize, next_)


def concatenate(processes: Mapping[str, Process]) -> Process:
    """Processes side by side: each takes a value of its own and gives a result of its own.

    Args:
        processes: Processes by name. The ``next`` of each takes a state and one value, its ``initialize``
            takes nothing, and its measurements are at the server.

    Returns:
        A process that takes a struct of values by name and gives a struct of results by name, each at the
        placement that its process says. With names ``a`` and ``b`` its state is ``<a=A,b=B>@SERVER``, of
        the states ``A`` and ``B`` of the two, and its measurements are ``<a=M,b=N>@SERVER``. All of them
        come back as an ``OrderedDict``, in the order of ``processes``.

    Raises:
        CompositionError: If there are no processes, or one has another shape.

    Example:
        >>> import foedus as fd
        >>> from foedus.process import Output, Process
        >>> @fd.computation
        ... def nothing():
        ...     return fd.federated_value((), fd.SERVER)
        >>> @fd.computation(fd.at_server(fd.to_type(())), fd.at_clients(fd.int32))
        ... def add(state, value):
        ...     return Output(state, fd.federated_sum(value), state)
        >>> both = concatenate({"steps": Process(nothing, add), "stairs": Process(nothing, add)})
        >>> step = both.next(both.initialize(), {"steps": [1, 2], "stairs": [0, 5]})
        >>> int(step.result["steps"]), int(step.result["stairs"])
        (3, 5)
    """
    parts = _parts("concatenate", processes)
    initialize = _initialize(parts)
    value_type = Struct(tuple((name, _value_type(process)) for name, process in parts.items()), OrderedDict)

    @computation(initialize.type.result, value_type)
    def next_(state: Any, value: Any) -> Any:
        states: OrderedDict[str, Any] = OrderedDict()
        results: OrderedDict[str, Any] = OrderedDict()
        measurements: OrderedDict[str, Any] = OrderedDict()
        for i, (name, process) in enumerate(parts.items()):
            step = process.next(state[i], value[i])
            states[name], results[name] = step.state, step.result
            measurements[name] = _placed(step.measurements)
        return Output(federated_zip(states), results, federated_zip(measurements))

    return Process(initialize, next_)


def _initialize(parts: Mapping[str, Process]) -> Computation:
    @computation
    def initialize() -> Any:
        return federated_zip(OrderedDict((name, process.initialize()) for name, process in parts.items()))

    return cast("Computation", initialize)


def _placed(measurements: Any) -> Any:
    """Measurements that can be zipped with others: nothing at all becomes nothing at the server."""
    is_placed = any(isinstance(t, Federated) for t in walk(measurements.type))
    return measurements if is_placed else federated_value(measurements, SERVER)


def _value_type(process: Process) -> Type:
    parameter = process.next.type.parameter
    assert isinstance(parameter, Struct)
    return parameter.fields[1][1]


def _parts(what: str, processes: Mapping[str, Process]) -> OrderedDict[str, Process]:
    """The processes in order, if all of them have the shape that composing needs."""
    given: object = processes
    if not isinstance(given, Mapping):
        raise CompositionError(
            f"{what} needs a mapping from names to processes",
            found=type(given).__name__,
            expected="such as {'clip': ..., 'sum': ...}",
            at=place(),
            hint="the names are those of the parts of the state and of the measurements",
        )
    if not processes:
        raise CompositionError(
            f"There is nothing to {what}",
            found="an empty mapping",
            expected="at least one process",
            at=place(),
            hint="without a process nothing says what type of value is taken",
        )
    for name, process in processes.items():
        _require_part(what, name, process)
    return OrderedDict(processes)


def _require_part(what: str, name: object, process: object) -> None:
    if not isinstance(name, str):
        raise CompositionError(
            "The name of a process is a string",
            found=f"{name!r} of type {type(name).__name__}",
            at=place(f"the argument of {what}"),
            hint="it becomes the name of a part of the state and of the measurements",
        )
    if not isinstance(process, Process):
        raise CompositionError(
            f"{name!r} is no process",
            found=type(process).__name__,
            expected=f"a Process, with next: {_SHAPE}",
            at=place(f"the argument of {what}"),
        )
    if process.initialize.type.parameter is not None:
        raise CompositionError(
            f"The initialize of {name!r} takes an argument",
            found=process.initialize.type,
            expected="( -> S@SERVER)",
            at=place(f"the argument of {what}"),
            hint="all states are made together, from nothing; call it in a computation that takes nothing",
        )
    _require_two(what, name, process)
    path = path_elsewhere(process.measurements_type)
    if path is not None:
        raise CompositionError(
            f"The measurements of {name!r} are not all at the server",
            found=process.measurements_type,
            expected="M@SERVER",
            at=place(f"{path} of the measurements" if path else "the measurements"),
            hint="those of all processes become one struct at the server; aggregate them, or leave them out",
        )


def _require_two(what: str, name: str, process: Process) -> None:
    parameter = process.next.type.parameter
    number = len(parameter.fields) if isinstance(parameter, Struct) else 1
    if number == 2:
        return
    more = "no value" if number == 1 else f"{number - 1} values"
    why = {
        "chain": "the one result of a process is the one value of the next",
        "concatenate": "each process has one value of its own in the struct of values",
    }[what]
    raise CompositionError(
        f"The next of {name!r} takes a state and {more}",
        found=process.next.type,
        expected=_SHAPE,
        at=place(f"the argument of {what}"),
        hint=f"{why}; several can be one struct",
    )


def _require_passes(one: str, result: Type, other: str, value: Type) -> None:
    """Raises unless the result of one process can be the value of another."""
    found = difference(value, result)
    if found is None:
        return
    hint = "put a process between them that makes the one of the other"
    if found.reason == "placement" and isinstance(found.found, Federated):
        hint = (
            "put a process between them that sends it down, with federated_broadcast"
            if found.found.placement == SERVER
            else "put a process between them that aggregates, such as one of foedus.aggregators"
        )
    raise CompositionError(
        f"The result of {one!r} is not what {other!r} takes",
        found=show(found.found),
        expected=show(found.expected),
        at=place(f"{found.path} of the value of {other!r}" if found.path else f"the value of {other!r}"),
        hint=hint,
    )
