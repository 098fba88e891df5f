# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What each reduction is, for the reference runtime: what a member sends, and how it is folded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from foedus.data import ClientId
from foedus.errors import ClientError, ExecutionError, place
from foedus.explain import Protection
from foedus.runtime._reference_numbers import (
    add,
    divide,
    each_leaf,
    limits,
    maximum,
    minimum,
    multiply,
    zeros,
)
from foedus.types import Federated, Struct, Tensor, Type, field_path, int64

STRANDS = 32
"""Into how many runs of members, at most, a reduction is cut (spec, N3)."""

_MOST_BITS = 62

Send = Callable[[ClientId], tuple[Any, ...]]


@dataclass(frozen=True)
class Fold:
    """How an operator reduces.

    Args:
        send: What a member sends.
        messages: The name, the type and the protection of each of its messages.
        zero: The result for nobody.
        accumulate: Takes in what one member sent.
        merge: Joins two results.
        report: Makes the result of the operator.
        needs_members: Whether nobody is an error.
    """

    send: Send
    messages: tuple[tuple[str, Type, Protection], ...]
    zero: Any
    accumulate: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    report: Callable[[Any], Any]
    needs_members: bool = False


def folded(fold: Fold, sent: list[Any]) -> Any:
    """Folds runs of members one by one, then merges neighbours until one value is left."""
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


def fold_of(name: str, argument: Any, parameter: Type) -> Fold:
    """The fold that an operator stands for.

    Args:
        name: The operator.
        argument: Its argument, with a mapping from members for each placed value.
        parameter: The argument's type.

    Returns:
        The fold.
    """
    return _FOLDS[name](argument, parameter)


def _member(parameter: Type) -> Type:
    """What each member has, of a reduction whose argument is the value alone, or a struct that begins with
    it.
    """
    first = parameter.fields[0][1] if isinstance(parameter, Struct) else parameter
    assert isinstance(first, Federated)
    return first.member


def _aggregate(argument: Any, parameter: Type) -> Fold:
    value, zero, accumulate, merge, report = argument
    return Fold(
        lambda i: (value[i],),
        (("value", _member(parameter), Protection.NONE),),
        zero,
        lambda partial, sent: accumulate((partial, sent[0])),
        lambda one, other: merge((one, other)),
        report,
    )


def _sum(value: Any, parameter: Type) -> Fold:
    member = _member(parameter)
    message = ("value", member, Protection.SUM)

    def take(partial: Any, sent: tuple[Any, ...]) -> Any:
        return add(partial, sent[0])

    return Fold(lambda i: (value[i],), (message,), zeros(member), take, add, lambda total: total)


def _mean(value: Any, parameter: Type) -> Fold:
    member = _member(parameter)
    return Fold(
        lambda i: (value[i], np.int64(1)),
        (("value", member, Protection.SUM), ("count", int64, Protection.SUM)),
        (zeros(member), np.int64(0)),
        add,
        add,
        lambda total: divide(total[0], total[1]),
        needs_members=True,
    )


def _weighted_mean(argument: Any, parameter: Type) -> Fold:
    assert isinstance(parameter, Struct)
    member = _member(parameter)
    weight_type = parameter.fields[1][1]
    assert isinstance(weight_type, Federated)
    assert isinstance(weight_type.member, Tensor)
    total_type = int64 if weight_type.member.dtype.kind in "iu" else weight_type.member
    value, weight = argument

    def send(i: ClientId) -> tuple[Any, ...]:
        return multiply(value[i], weight[i]), np.asarray(weight[i]).astype(total_type.dtype)

    return Fold(
        send,
        (("weighted value", member, Protection.SUM), ("weight", total_type, Protection.SUM)),
        (zeros(member), zeros(total_type)),
        add,
        add,
        lambda total: divide(total[0], total[1]),
        needs_members=True,
    )


def _minimum(value: Any, parameter: Type) -> Fold:
    return _extremum(value, _member(parameter), minimum, limits(_member(parameter), highest=True))


def _maximum(value: Any, parameter: Type) -> Fold:
    return _extremum(value, _member(parameter), maximum, limits(_member(parameter), highest=False))


def _extremum(value: Any, member: Type, better: Callable[[Any, Any], Any], worst: Any) -> Fold:
    return Fold(
        lambda i: (value[i],),
        (("value", member, Protection.NONE),),
        worst,
        lambda partial, sent: better(partial, sent[0]),
        better,
        lambda found: found,
        needs_members=True,
    )


def _limit_for(limit: Any, index: int) -> Any:
    """The bound of one field: its own, or the one for all."""
    return limit[index] if isinstance(limit, tuple) else limit


def _exact(value: Any) -> Any:
    """A plain value in Python's own integers, which never overflow."""
    return each_leaf(lambda x: np.asarray(x).astype(object), value)


def _check_range(name: str, client: ClientId, value: Any, type_: Type, limit: Any, path: str = "") -> None:
    if isinstance(type_, Struct):
        for i, ((field, t), item) in enumerate(zip(type_.fields, value, strict=True)):
            _check_range(name, client, item, t, _limit_for(limit, i), path + field_path(i, field))
        return
    numbers = np.asarray(value)
    odd = (
        numbers[(numbers < 0) | (numbers > limit)]
        if numbers.ndim
        else numbers[None][[not 0 <= numbers <= limit]]
    )
    if odd.size:
        raise ClientError(
            f"A value of client {client!r} is out of range for {name}",
            found=int(odd.ravel()[0]),
            expected=f"0 to {limit}",
            at=place(f"{path} of the value" if path else "the value"),
        )


def _in_dtype(name: str, total: Any, type_: Type) -> Any:
    """Exact integers in the dtype of the result, or an error where they do not fit."""
    if isinstance(type_, Struct):
        return tuple(_in_dtype(name, item, t) for (_, t), item in zip(type_.fields, total, strict=True))
    assert isinstance(type_, Tensor)
    allowed = np.iinfo(type_.dtype)
    for number in np.asarray(total, dtype=object).ravel():
        if not allowed.min <= number <= allowed.max:
            raise ExecutionError(
                f"The result of {name} does not fit its dtype",
                found=number,
                expected=f"{type_}: {allowed.min} to {allowed.max}",
                at=place(),
                hint="add up in a wider dtype",
            )
    return np.asarray(total, dtype=object).astype(type_.dtype)


def _secure_sum_max(argument: Any, parameter: Type) -> Fold:
    value, most = argument
    return _secure_sum("federated_secure_sum", value, _member(parameter), most)


def _secure_sum_bitwidth(argument: Any, parameter: Type) -> Fold:
    value, bits = argument
    most = each_leaf(lambda b: np.asarray(_greatest(int(b)), dtype=object), bits)
    return _secure_sum("federated_secure_sum_bitwidth", value, _member(parameter), most)


def _secure_sum(name: str, value: Any, member: Type, limit: Any) -> Fold:
    def send(i: ClientId) -> tuple[Any, ...]:
        _check_range(name, i, value[i], member, limit)
        return (value[i],)

    return Fold(
        send,
        (("value", member, Protection.SECURE_SUM),),
        _exact(zeros(member)),
        lambda partial, sent: add(partial, _exact(sent[0])),
        add,
        lambda total: _in_dtype(name, total, member),
    )


def _greatest(bits: int) -> int:
    if not 1 <= bits <= _MOST_BITS:
        raise ExecutionError("Integers have 1 to 62 bits in a secure sum", found=bits, at=place())
    return 2**bits - 1


def _modular_sum(argument: Any, parameter: Type) -> Fold:
    value, modulus = argument
    member = _member(parameter)

    def reduced(plain: Any, type_: Type, m: Any) -> Any:
        if isinstance(type_, Struct):
            parts = enumerate(zip(type_.fields, plain, strict=True))
            return tuple(reduced(item, t, _limit_for(m, i)) for i, ((_, t), item) in parts)
        if int(m) < 1:
            raise ExecutionError("A modulus is positive", found=int(m), at=place())
        return np.asarray(np.asarray(plain, dtype=object) % int(m), dtype=object)

    return Fold(
        lambda i: (value[i],),
        (("value", member, Protection.SECURE_SUM),),
        _exact(zeros(member)),
        lambda partial, sent: reduced(add(partial, _exact(sent[0])), member, modulus),
        lambda one, other: reduced(add(one, other), member, modulus),
        lambda total: _in_dtype("federated_secure_modular_sum", total, member),
    )


_FOLDS: dict[str, Callable[[Any, Type], Fold]] = {
    "federated_aggregate": _aggregate,
    "federated_sum": _sum,
    "federated_mean": _mean,
    "federated_weighted_mean": _weighted_mean,
    "federated_min": _minimum,
    "federated_max": _maximum,
    "federated_secure_sum": _secure_sum_max,
    "federated_secure_sum_bitwidth": _secure_sum_bitwidth,
    "federated_secure_modular_sum": _modular_sum,
}
