# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Derived operators as programs: what each means in terms of others, for its type."""

from __future__ import annotations

from foedus.types import Federated, Function, Sequence, Struct, Type, show


def _source(type_: Function) -> Federated:
    parameter = type_.parameter
    first = parameter.fields[0][1] if isinstance(parameter, Struct) else parameter
    assert isinstance(first, Federated)
    return first


def _target(type_: Function) -> str:
    assert isinstance(type_.result, Federated)
    return type_.result.placement.name


def _fold(type_: Function, start: str, join: str) -> str:
    """An aggregate whose statistics are of the members' own type."""
    t = show(_source(type_).member)
    return (
        f"(x:{show(_source(type_))} -> federated_aggregate@{_target(type_)}("
        f"<value=x,zero={start}:( -> {t})(),"
        f"accumulate=(a:<{t},{t}> -> {join}(a)),merge=(a:<{t},{t}> -> {join}(a)),report=(a:{t} -> a)>))"
    )


def sum_(type_: Function) -> str:
    """``federated_sum``."""
    return _fold(type_, "generic_zero", "generic_plus")


def minimum(type_: Function) -> str:
    """``federated_min``."""
    return _fold(type_, "generic_highest", "generic_minimum")


def maximum(type_: Function) -> str:
    """``federated_max``."""
    return _fold(type_, "generic_lowest", "generic_maximum")


def _quotient(member: Type, weight: str, value: str, weights: str, target: str) -> str:
    pair = f"<{show(member)},{weight}>"
    return (
        f"federated_map(<fn=(p:{pair} -> generic_divide(p)),"
        f"value=federated_zip(<federated_sum@{target}({value}),federated_sum@{target}({weights})>)>)"
    )


def mean(type_: Function) -> str:
    """``federated_mean``."""
    source, target = _source(type_), _target(type_)
    ones = f"federated_map(<fn=(y:{show(source.member)} -> 1:int64),value=x>)"
    return f"(x:{show(source)} -> {_quotient(source.member, 'int64', 'x', ones, target)})"


def weighted_mean(type_: Function) -> str:
    """``federated_weighted_mean``."""
    parameter = type_.parameter
    assert isinstance(parameter, Struct)
    source, weight, target = _source(type_), parameter.fields[1][1], _target(type_)
    assert isinstance(weight, Federated)
    whole = show(weight.member).startswith(("int", "uint"))
    total = "int64" if whole else show(weight.member)
    t, w = show(source.member), show(weight.member)
    scaled = (
        f"federated_map(<fn=(p:<{t},{w}> -> generic_multiply(p)),value=federated_zip(<x.value,x.weight>)>)"
    )
    weights = (
        f"federated_map(<fn=(w:{w} -> generic_multiply(<1:int64,w>)),value=x.weight>)"
        if whole
        else "x.weight"
    )
    parameter_text = f"<value={show(source)},weight={show(weight)}>"
    return f"(x:{parameter_text} -> {_quotient(source.member, total, scaled, weights, target)})"


def sequence_sum(type_: Function) -> str:
    """``sequence_sum``."""
    assert isinstance(type_.parameter, Sequence)
    t = show(type_.parameter.element)
    return (
        f"(s:{t}* -> sequence_reduce(<value=s,zero=generic_zero:( -> {t})(),"
        f"op=(a:<{t},{t}> -> generic_plus(a))>))"
    )
