# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The reference runtime: obvious Python, one client after another. It defines what programs mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never, final

import numpy as np

from foedus.data import ClientId, Cohort, Elements, client_key, from_result, to_argument
from foedus.errors import ClientError, ExecutionError, FoedusError, failing_line, place
from foedus.explain import PROGRAM, Crossing, Protection, bytes_of
from foedus.foreign import kind
from foedus.ir import (
    Block,
    Call,
    Foreign,
    Intrinsic,
    Lambda,
    Literal,
    Node,
    Record,
    Reference,
    Selection,
    value_of,
)
from foedus.types import CLIENTS, SERVER, Federated, Function, Struct, Tensor, Type, int64

STRANDS = 32
"""Into how many runs of clients, at most, a reduction is cut (spec, section "Reduction")."""


@dataclass(frozen=True)
class _Each:
    """One value for each client."""

    values: Mapping[ClientId, Any]


@dataclass(frozen=True)
class _Fold:
    """How an operator reduces: what each client sends, and the monoid it is folded by."""

    send: Callable[[ClientId], tuple[Any, ...]]
    messages: tuple[tuple[str, Type, Protection], ...]
    zero: Any
    accumulate: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    report: Callable[[Any], Any]
    needs_clients: bool = False


@final
class ReferenceRuntime:
    """Runs computations one step after another, in plain Python, and logs every value that crosses.

    Args:
        clients: The clients for computations that have no argument at clients.
    """

    def __init__(self, clients: tuple[ClientId, ...] | None = None) -> None:
        self._clients = clients
        self.crossings: tuple[Crossing, ...] = ()
        """What crossed between placements in the last run."""

    def apply(self, function: Node, argument: Any) -> Any:
        """Runs a program; see ``foedus.lang.Interpreter``."""
        type_ = function.type
        assert isinstance(type_, Function)
        parameter = type_.parameter
        given = None if parameter is None else to_argument(argument, parameter, "the argument")
        run = _Run(_ids_of(given), self._clients)
        placed = None if parameter is None else run.place(given, parameter)
        value = run.call(run.evaluate(function, {}), placed)
        self.crossings = tuple(run.log)
        return from_result(run.collect(value, type_.result), type_.result)


def _ids_of(given: Any) -> tuple[ClientId, ...] | None:
    """The clients of all cohorts in an argument, which must be the same."""
    if isinstance(given, Cohort):
        return given.ids
    if not isinstance(given, tuple):
        return None
    found = [ids for ids in (_ids_of(item) for item in given) if ids is not None]
    odd = next((ids for ids in found if set(ids) != set(found[0])), None)
    if odd is not None:
        raise ExecutionError(
            "The arguments at clients are of different clients",
            found=f"{len(odd)} clients: {str(sorted(odd)[:5])[1:-1]}",
            expected=f"{len(found[0])} clients: {str(sorted(found[0])[:5])[1:-1]}",
            at=place(),
        )
    return found[0] if found else None


class _Run:
    """One run of a program."""

    def __init__(self, ids: tuple[ClientId, ...] | None, default: tuple[ClientId, ...] | None) -> None:
        self.given = ids if ids is not None else default
        self.log: list[Crossing] = []

    @property
    def ids(self) -> list[ClientId]:
        """The clients in the order of their ids."""
        if self.given is None:
            raise ExecutionError(
                "Nothing says which clients there are",
                at=place(),
                hint="give the runtime its clients, for example reference(clients=3)",
            )
        return sorted(self.given)

    def place(self, given: Any, type_: Type) -> Any:
        """Spreads an argument's cohorts over the clients."""
        match type_:
            case Federated(_, placement, all_equal) if placement == CLIENTS:
                if all_equal:
                    return _Each(dict.fromkeys(self.ids, given))
                return _Each({i: given.client(k) for k, i in enumerate(given.ids)})
            case Struct(fields):
                return tuple(self.place(item, t) for (_, t), item in zip(fields, given, strict=True))
            case _:
                return given

    def collect(self, value: Any, type_: Type) -> Any:
        """Makes cohorts of a result's values at clients, in the order in which the clients were given."""
        match type_:
            case Federated(_, placement, all_equal) if placement == CLIENTS:
                if all_equal:
                    return next(iter(value.values.values()), None)
                return [value.values[i] for i in self.given or ()]
            case Struct(fields):
                return tuple(self.collect(item, t) for (_, t), item in zip(fields, value, strict=True))
            case _:
                return value

    def evaluate(self, node: Node, scope: Mapping[str, Any]) -> Any:
        """The value of a node: an array, a tuple, ``Elements``, a Python function, or an ``_Each``."""
        match node:
            case Reference(name):
                return scope[name]
            case Literal():
                return value_of(node)
            case Record(fields):
                return tuple(self.evaluate(child, scope) for _, child in fields)
            case Selection(source, index):
                return self.evaluate(source, scope)[index]
            case Lambda(parameter, _, body):
                return lambda argument: self.evaluate(body, {**scope, parameter or "": argument})
            case Block(bindings, result):
                inner = dict(scope)
                for name, child in bindings:
                    inner[name] = self.evaluate(child, inner)
                return self.evaluate(result, inner)
            case Call(function, argument):
                given = None if argument is None else self.evaluate(argument, scope)
                return self.call(self.evaluate(function, scope), given)
            case Foreign(kind_name, payload):
                return lambda argument: kind(kind_name).run(payload, argument)
            case Intrinsic():
                return lambda argument: self.operate(node, argument)
            case _:
                assert_never(node)

    def call(self, function: Any, argument: Any) -> Any:
        return function(argument)

    def at_client(self, client: ClientId, stage: str, function: Any, argument: Any) -> Any:
        """Runs a function at one client; a failure names it."""
        return _located(f"Client {client!r} failed in {stage}", ClientError, function, argument)

    def operate(self, operator: Intrinsic, argument: Any) -> Any:
        """Applies an operator."""
        result = operator.type.result
        assert isinstance(result, Federated)
        match operator.name:
            case "federated_value":
                return self.spread(operator, argument, result, PROGRAM)
            case "federated_broadcast":
                return self.spread(operator, argument, result, SERVER.name)
            case "federated_eval":
                return self.eval(argument, result)
            case "federated_key":
                return self.keys(operator, argument)
            case "federated_map":
                return self.map(operator, argument, result)
            case "federated_zip":
                return self.zip(operator, argument)
            case _:
                return self.reduce(operator, argument)

    def spread(self, operator: Intrinsic, value: Any, result: Federated, origin: str) -> Any:
        if result.placement != CLIENTS:
            return value
        what = "constant" if origin == PROGRAM else "value"
        self.crossed(operator.name, what, result.member, value, origin, CLIENTS.name, Protection.NONE)
        return _Each(dict.fromkeys(self.ids, value))

    def eval(self, function: Any, result: Federated) -> Any:
        if result.placement != CLIENTS:
            return _located("The server failed in federated_eval", ExecutionError, function, None)
        return _Each({i: self.at_client(i, "federated_eval", function, None) for i in self.ids})

    def keys(self, operator: Intrinsic, argument: Any) -> Any:
        key, purpose = argument
        keys = {i: client_key(key, i, str(purpose)) for i in self.ids}
        result = operator.type.result
        assert isinstance(result, Federated)
        self.crossed(operator.name, "key", result.member, key, SERVER.name, CLIENTS.name, Protection.NONE)
        return _Each(keys)

    def map(self, operator: Intrinsic, argument: Any, result: Federated) -> Any:
        function, value = argument
        if result.placement != CLIENTS:
            return _located(f"The server failed in {operator.name}", ExecutionError, function, value)
        stage = operator.name
        return _Each({i: self.at_client(i, stage, function, value.values[i]) for i in self.ids})

    def zip(self, operator: Intrinsic, argument: Any) -> Any:
        result = operator.type.result
        assert isinstance(result, Federated)
        if result.placement != CLIENTS:
            return argument
        return _Each({i: _at(argument, i) for i in self.ids})

    def reduce(self, operator: Intrinsic, argument: Any) -> Any:
        """Folds the clients' values in the order of their ids, in ``STRANDS`` runs, merged pairwise."""
        parameter = operator.type.parameter
        assert parameter is not None
        fold = _fold_of(operator.name, argument, parameter)
        clients = self.ids
        if not clients and fold.needs_clients:
            raise ExecutionError(f"{operator.name} of no clients", expected="at least one client", at=place())
        sent = [fold.send(i) for i in clients]
        for k, (what, type_, protection) in enumerate(fold.messages):
            size = sum(_size(message[k]) for message in sent)
            each = _per_client(size, len(sent), type_)
            self.note(Crossing(operator.name, what, type_, CLIENTS.name, SERVER.name, each, protection))
        return fold.report(_folded(fold, sent))

    def crossed(
        self,
        name: str,
        what: str,
        type_: Type,
        value: Any,
        origin: str,
        destination: str,
        protection: Protection,
    ) -> None:
        size = _per_client(_size(value) * len(self.ids), len(self.ids), type_)
        self.note(Crossing(name, what, type_, origin, destination, size, protection))

    def note(self, crossing: Crossing) -> None:
        """Logs a crossing, unless the message has no content."""
        if crossing.bytes_per_client != 0:
            self.log.append(crossing)


def _folded(fold: _Fold, sent: list[Any]) -> Any:
    """Folds runs of clients one by one, then merges neighbours until one value is left."""
    strands = min(len(sent), STRANDS)
    partials: list[Any] = []
    for s in range(strands):
        partial = fold.zero
        for k in range(s * len(sent) // strands, (s + 1) * len(sent) // strands):
            partial = fold.accumulate(partial, sent[k])
        partials.append(partial)
    while len(partials) > 1:
        odd = partials[len(partials) // 2 * 2 :]
        pairs = zip(partials[::2], partials[1::2], strict=False)
        partials = [fold.merge(one, other) for one, other in pairs] + odd
    return partials[0] if partials else fold.zero


def _located(headline: str, sort: type[ExecutionError], function: Any, argument: Any) -> Any:
    try:
        return function(argument)
    except FoedusError:
        raise
    except Exception as error:
        raise sort(
            headline, found=f"{type(error).__name__}: {error}", at=failing_line(error) or place()
        ) from error


def _at(value: Any, client: ClientId) -> Any:
    return value.values[client] if isinstance(value, _Each) else tuple(_at(item, client) for item in value)


def _size(value: Any) -> int:
    """The bytes of a plain value; 0 for what the type leaves open."""
    if isinstance(value, tuple):
        return sum(_size(item) for item in value)
    return 0 if isinstance(value, Elements) else int(np.asarray(value).nbytes)


def _per_client(total: int, clients: int, type_: Type) -> int | None:
    if bytes_of(type_) is None:
        return None
    return total // clients if clients else bytes_of(type_)


def _each_leaf(function: Callable[..., Any], *values: Any) -> Any:
    """Applies a function to the arrays of plain values of one type."""
    if isinstance(values[0], tuple):
        return tuple(_each_leaf(function, *items) for items in zip(*values, strict=True))
    with np.errstate(all="ignore"):
        return np.asarray(function(*values))


def _filled(type_: Type, fill: Callable[[Tensor], Any]) -> Any:
    match type_:
        case Struct(fields):
            return tuple(_filled(t, fill) for _, t in fields)
        case Tensor(dtype, shape):
            return np.full([size or 0 for size in shape or ()], fill(type_), dtype=dtype)
        case _:
            raise AssertionError(f"{type_} cannot be reduced; please report")


def _zeros(type_: Type) -> Any:
    return _filled(type_, lambda _: 0)


def _add(one: Any, other: Any) -> Any:
    return _each_leaf(np.add, one, other)


def _divide(value: Any, by: Any) -> Any:
    return _each_leaf(lambda x: x / np.asarray(by).astype(x.dtype), value)


def _fold_of(name: str, argument: Any, parameter: Type) -> _Fold:
    """The fold that an operator stands for."""
    first = parameter.fields[0][1] if isinstance(parameter, Struct) else parameter
    assert isinstance(first, Federated)
    member = first.member
    if name == "federated_aggregate":
        value, zero, accumulate, merge, report = argument
        return _Fold(
            lambda i: (value.values[i],),
            (("value", member, Protection.NONE),),
            zero,
            lambda partial, sent: accumulate((partial, sent[0])),
            lambda one, other: merge((one, other)),
            report,
        )
    if name == "federated_weighted_mean":
        return _weighted_mean(argument, member, parameter)
    if name in ("federated_min", "federated_max"):
        return _extremum(name, argument, member)
    sum_message = ("value", member, Protection.SUM)
    if name == "federated_sum":
        return _Fold(
            lambda i: (argument.values[i],), (sum_message,), _zeros(member),
            lambda partial, sent: _add(partial, sent[0]), _add, lambda total: total,
        )  # fmt: skip
    assert name == "federated_mean", f"{name} has no meaning here; please report"
    return _Fold(
        lambda i: (argument.values[i], np.int64(1)),
        (sum_message, ("count", int64, Protection.SUM)),
        (_zeros(member), np.int64(0)),
        _add,
        _add,
        lambda total: _divide(total[0], total[1]),
        needs_clients=True,
    )


def _weighted_mean(argument: Any, member: Type, parameter: Type) -> _Fold:
    assert isinstance(parameter, Struct)
    weight_type = parameter.fields[1][1]
    assert isinstance(weight_type, Federated)
    assert isinstance(weight_type.member, Tensor)
    total_type = int64 if weight_type.member.dtype.kind in "iu" else weight_type.member
    value, weight = argument

    def send(client: ClientId) -> tuple[Any, ...]:
        w = np.asarray(weight.values[client])
        scaled = _each_leaf(lambda x: x * w.astype(x.dtype), value.values[client])
        return scaled, w.astype(total_type.dtype)

    return _Fold(
        send,
        (("weighted value", member, Protection.SUM), ("weight", total_type, Protection.SUM)),
        (_zeros(member), _zeros(total_type)),
        _add,
        _add,
        lambda total: _divide(total[0], total[1]),
        needs_clients=True,
    )


def _extremum(name: str, argument: Any, member: Type) -> _Fold:
    least = name == "federated_min"

    def neutral(tensor: Tensor) -> Any:
        if tensor.dtype.kind in "iu":
            limits = np.iinfo(tensor.dtype)
            return limits.max if least else limits.min
        return np.inf if least else -np.inf

    def better(one: Any, other: Any) -> Any:
        return _each_leaf(np.minimum if least else np.maximum, one, other)

    return _Fold(
        lambda i: (argument.values[i],),
        (("value", member, Protection.NONE),),
        _filled(member, neutral),
        lambda partial, sent: better(partial, sent[0]),
        better,
        lambda found: found,
        needs_clients=True,
    )
