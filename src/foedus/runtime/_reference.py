# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The reference runtime: obvious Python, one client after another. It defines what programs mean."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never, final

import numpy as np

from foedus.data import (
    ClientId,
    Elements,
    Members,
    Tiers,
    client_key,
    from_result,
    members_of,
    to_argument,
    to_member,
)
from foedus.errors import ClientError, ExecutionError, FoedusError, failing_line, place
from foedus.explain import PROGRAM, Crossing, Protection, bytes_of
from foedus.foreign import kind
from foedus.intrinsics import TABLE, Flow
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
from foedus.passes import expand
from foedus.runtime import _reference_numbers as numbers
from foedus.runtime._reference_folds import fold_of, folded
from foedus.types import (
    CLIENTS,
    SERVER,
    Federated,
    Function,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
)


@dataclass(frozen=True)
class _Each:
    """One value for each member of a placement."""

    values: Mapping[ClientId, Any]

    def __getitem__(self, member: ClientId) -> Any:
        return self.values[member]


@final
class ReferenceRuntime:
    """Runs computations one step after another, in plain Python, and logs every value that crosses.

    Args:
        clients: The clients for computations that have no argument at clients.
        tiers: The members of declared tiers, and the clients below each.
        debug: Whether local code is kept from compiling anything inside itself.
    """

    def __init__(self, clients: tuple[ClientId, ...] | None, tiers: Tiers, *, debug: bool) -> None:
        self._clients = clients
        self._tiers = tiers
        self._debug = debug
        self.crossings: tuple[Crossing, ...] = ()
        """What crossed between placements in the last run."""
        self.simulated: frozenset[str] = frozenset()
        """The operators of the last run whose protection was only simulated."""

    def apply(self, function: Node, argument: Any) -> Any:
        """Runs a program; see ``foedus.lang.Interpreter``."""
        type_ = function.type
        assert isinstance(type_, Function)
        parameter = type_.parameter
        given = None if parameter is None else to_argument(argument, parameter, "the argument")
        run = _Run(members_of(given, parameter, self._clients, self._tiers))
        placed = None if parameter is None else run.place(given, parameter)
        with _interpreted() if self._debug else contextlib.nullcontext():
            value = run.evaluate(expand(function), {})(placed)
        self.crossings, self.simulated = tuple(run.log), frozenset(run.simulated)
        return from_result(run.collect(value, type_.result), type_.result)


def _interpreted() -> contextlib.AbstractContextManager[Any]:
    """Keeps JAX, where it is used, from compiling: every operation runs when Python reaches it."""
    import jax

    return jax.disable_jit()


class _Run:
    """One run of a program."""

    def __init__(self, members: Members) -> None:
        self.members = members
        self.log: list[Crossing] = []
        self.simulated: set[str] = set()

    def place(self, given: Any, type_: Type) -> Any:
        """Spreads an argument's cohorts over their members."""
        match type_:
            case Federated(_, placement, all_equal) if placement != SERVER:
                if all_equal:
                    return _Each(dict.fromkeys(self.members.ids(placement), given))
                return _Each({i: given.client(k) for k, i in enumerate(given.ids)})
            case Struct(fields):
                return tuple(self.place(item, t) for (_, t), item in zip(fields, given, strict=True))
            case _:
                return given

    def collect(self, value: Any, type_: Type) -> Any:
        """Lists a result's values at clients or a tier, in the order in which the members were given."""
        match type_:
            case Federated(_, placement, all_equal) if placement != SERVER:
                if all_equal:
                    return next(iter(value.values.values()), None)
                return [value[i] for i in self.members.in_given_order(placement)]
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
                return self.evaluate(function, scope)(given)
            case Foreign(kind_name, payload):
                return lambda argument: kind(kind_name).run(payload, argument)
            case Intrinsic(name, type_):
                placed = isinstance(type_.result, Federated)
                return lambda argument: (
                    self.operate(node, argument) if placed else _plain(name, type_, argument)
                )
            case _:
                assert_never(node)

    def operate(self, operator: Intrinsic, argument: Any) -> Any:
        """Applies an operator whose result is placed."""
        name, result = operator.name, operator.type.result
        assert isinstance(result, Federated)
        if TABLE[name].flow is Flow.UP:
            return self.reduce(operator, argument, result)
        match name:
            case "federated_value":
                return self.constant(operator, argument, result)
            case "federated_broadcast":
                return self.broadcast(operator, argument, result)
            case "federated_eval":
                return self.everywhere(name, result.placement, argument, lambda _: None)
            case "federated_key":
                return self.keys(operator, argument, result)
            case "federated_map":
                function, value = argument
                at = value if result.placement == SERVER else value.__getitem__
                return self.everywhere(name, result.placement, function, at)
            case "federated_zip":
                if result.placement == SERVER:
                    return argument
                return _Each({i: _at(argument, i) for i in self.members.ids(result.placement)})
            case _:
                return self.select(operator, argument, result)

    def everywhere(self, stage: str, placement: PlacementLiteral, function: Any, argument_of: Any) -> Any:
        """Runs a function at every member; a failure names the member."""
        if placement == SERVER:
            argument = None if stage == "federated_eval" else argument_of
            return _located(f"The server failed in {stage}", ExecutionError, function, argument)
        kind_of = "Client" if placement == CLIENTS else f"The member of {placement}"
        return _Each(
            {
                i: _located(f"{kind_of} {i!r} failed in {stage}", ClientError, function, argument_of(i))
                for i in self.members.ids(placement)
            }
        )

    def constant(self, operator: Intrinsic, value: Any, result: Federated) -> Any:
        if result.placement == SERVER:
            return value
        sent = dict.fromkeys(self.members.ids(result.placement), value)
        self.crossed(operator, "constant", result.member, sent, PROGRAM, result.placement.name)
        return _Each(sent)

    def broadcast(self, operator: Intrinsic, value: Any, result: Federated) -> Any:
        source = operator.type.parameter
        assert isinstance(source, Federated)
        if source.placement == SERVER:
            sent = dict.fromkeys(self.members.ids(result.placement), value)
        else:
            above = self.members.above(result.placement, source.placement)
            sent = {i: value[above[i]] for i in self.members.ids(result.placement)}
        self.crossed(operator, "value", result.member, sent, source.placement.name, result.placement.name)
        return _Each(sent)

    def keys(self, operator: Intrinsic, argument: Any, result: Federated) -> Any:
        key, purpose = argument
        sent = {i: client_key(key, i, str(purpose)) for i in self.members.ids(CLIENTS)}
        self.crossed(operator, "key", result.member, sent, SERVER.name, CLIENTS.name)
        return _Each(sent)

    def select(self, operator: Intrinsic, argument: Any, result: Federated) -> Any:
        keys, max_key, server_value, select_fn = argument
        secure = operator.name == "federated_secure_select"
        asked = {i: np.asarray(keys[i]) for i in self.members.ids(CLIENTS)}
        self.simulated |= {operator.name} if secure else set()
        protection = Protection.HIDDEN if secure else Protection.NONE
        keys_type = _member_of_field(operator.type.parameter, 0)
        assert isinstance(keys_type, Tensor)
        self.crossed(operator, "keys", keys_type, asked, CLIENTS.name, SERVER.name, protection)
        found: dict[ClientId, list[Any]] = {}
        for client, own in asked.items():
            _check_keys(operator.name, client, own, int(max_key))
            found[client] = [select_fn((server_value, key)) for key in own]
        assert isinstance(result.member, Sequence)
        self.crossed(
            operator,
            "parts",
            result.member,
            {i: tuple(p) for i, p in found.items()},
            SERVER.name,
            CLIENTS.name,
            parts=(keys_type.shape or (0,))[0] or 0,
        )
        return _Each({i: _elements(parts, result.member, i) for i, parts in found.items()})

    def reduce(self, operator: Intrinsic, argument: Any, result: Federated) -> Any:
        """Folds the values of a placement's members at the server, or at each member of a tier those below
        it.
        """
        name, parameter = operator.name, operator.type.parameter
        assert parameter is not None
        fold = fold_of(name, argument, parameter)
        source = _source_of(parameter)
        self.simulated |= {name} if name.startswith("federated_secure") else set()
        sent = {i: fold.send(i) for i in self.members.ids(source)}
        for k, (what, type_, protection) in enumerate(fold.messages):
            messages = {i: message[k] for i, message in sent.items()}
            self.crossed(operator, what, type_, messages, source.name, result.placement.name, protection)

        def at(members: list[ClientId]) -> Any:
            if not members and fold.needs_members:
                of_whom = "clients" if source == CLIENTS else f"members of {source}"
                raise ExecutionError(f"{name} of no {of_whom}", expected="at least one", at=place())
            return fold.report(folded(fold, [sent[i] for i in members]))

        if result.placement == SERVER:
            return at(list(sent))
        above = self.members.above(source, result.placement)
        return _Each({m: at([i for i in sent if above[i] == m]) for m in self.members.ids(result.placement)})

    def crossed(
        self,
        operator: Intrinsic,
        what: str,
        type_: Type,
        messages: Mapping[ClientId, Any],
        origin: str,
        destination: str,
        protection: Protection = Protection.NONE,
        parts: int | None = None,
    ) -> None:
        """Logs the messages of all members, unless they have no content; ``parts`` is how many elements
        a sequence has.
        """
        each = bytes_of(type_ if parts is None or not isinstance(type_, Sequence) else type_.element)
        sizes = {_size(message) for message in messages.values()}
        size = None if each is None else max(sizes, default=each * (1 if parts is None else parts))
        if size != 0:
            self.log.append(Crossing(operator.name, what, type_, origin, destination, size, protection))


def _plain(name: str, type_: Function, argument: Any) -> Any:
    """An operator on values that are not placed."""
    result = type_.result
    match name:
        case "sequence_map":
            function, value = argument
            assert isinstance(result, Sequence)
            return _elements([function(element) for element in value], result, 0)
        case "sequence_reduce":
            value, carry, op = argument
            for element in value:
                carry = op((carry, element))
            return carry
        case "generic_zero":
            return numbers.zeros(result)
        case "generic_lowest" | "generic_highest":
            return numbers.limits(result, highest=name == "generic_highest")
        case "generic_plus":
            return numbers.add(*argument)
        case "generic_minimum":
            return numbers.minimum(*argument)
        case "generic_maximum":
            return numbers.maximum(*argument)
        case "generic_multiply":
            return numbers.multiply(*argument)
        case "generic_divide":
            return numbers.divide(*argument)
        case _:
            raise AssertionError(f"{name} has no meaning here; please report")


def _elements(parts: list[Any], type_: Sequence, client: ClientId) -> Elements:
    made = to_member(parts, type_, f"a sequence of client {client!r}", client)
    assert isinstance(made, Elements)
    return made


def _member_of_field(parameter: Type | None, index: int) -> Type:
    assert isinstance(parameter, Struct)
    field = parameter.fields[index][1]
    assert isinstance(field, Federated)
    return field.member


def _source_of(parameter: Type) -> PlacementLiteral:
    """The placement that a reduction reads from."""
    first = parameter.fields[0][1] if isinstance(parameter, Struct) else parameter
    assert isinstance(first, Federated)
    return first.placement


def _check_keys(name: str, client: ClientId, keys: Any, bound: int) -> None:
    odd = keys[(keys < 0) | (keys >= bound)]
    if odd.size:
        raise ClientError(
            f"A key of client {client!r} is out of range for {name}",
            found=int(odd[0]),
            expected=f"0 to {bound - 1}",
            at=place("the keys"),
        )


def _located(headline: str, sort: type[ExecutionError], function: Any, argument: Any) -> Any:
    try:
        return function(argument)
    except FoedusError:
        raise
    except Exception as error:
        raise sort(
            headline, found=f"{type(error).__name__}: {error}", at=failing_line(error) or place()
        ) from error


def _at(value: Any, member: ClientId) -> Any:
    return value[member] if isinstance(value, _Each) else tuple(_at(item, member) for item in value)


def _size(value: Any) -> int:
    """The bytes of a plain value; 0 for what the type leaves open."""
    if isinstance(value, tuple):
        return sum(_size(item) for item in value)
    return 0 if isinstance(value, Elements) else int(np.asarray(value).nbytes)
