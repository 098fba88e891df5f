# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The NumPy front end: plain host code, run as it is. See ``foedus.host``."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, final

from foedus.data import to_member
from foedus.errors import CorruptDataError, FoedusError, UnsupportedError, place
from foedus.foreign import Encoded, Nature, NoJax, Running, Way
from foedus.frontends._authorship import line_of, name_of, require_no_way
from foedus.ir import Foreign, constant
from foedus.types import Function, Sequence, Struct, Type, from_plain, pack

__all__ = ["KIND"]


@dataclass(frozen=True, slots=True, eq=False)
class HostPayload:
    """The payload of a host leaf.

    Args:
        fn: The user's function.
        parameter: The type of its argument, None where it takes none.
        returns: The type of its result.
        spread: Whether it takes the fields of its argument one by one.
    """

    fn: Callable[..., Any]
    parameter: Type | None
    returns: Type
    spread: bool


@final
class NumpyKind:
    """Implements ``foedus.foreign.Kind`` for host code."""

    nature = Nature.HOST

    def trace(self, fn: Any, parameter: Type | None, *, way: Way | None = None) -> Foreign:
        """See ``Kind.trace``; ``fn`` is a ``foedus.lang`` host function, which knows what it returns."""
        require_no_way("numpy", way)
        code = getattr(fn.fn, "__code__", None)
        takes = code.co_argcount if isinstance(code, CodeType) else 1
        spread = isinstance(parameter, Struct) and takes != 1 and takes == len(parameter.fields)
        type_ = Function(parameter, fn.returns)
        digest = hashlib.sha256(f"numpy\0{type_}\0".encode() + _content(fn.fn)).hexdigest()
        return Foreign("numpy", HostPayload(fn.fn, parameter, fn.returns, spread), type_, digest)

    def run(self, payload: HostPayload, argument: Any) -> Any:
        """See ``Kind.run``."""
        if payload.parameter is None:
            result = payload.fn()
        elif payload.spread and isinstance(payload.parameter, Struct):
            fields = zip(payload.parameter.fields, argument, strict=True)
            result = payload.fn(*(_to_user(item, t) for (_, t), item in fields))
        else:
            result = payload.fn(_to_user(argument, payload.parameter))
        return to_member(result, payload.returns, f"the result of {payload.fn.__name__!r}")

    def running(self, payload: HostPayload) -> tuple[Running, ...]:
        """See ``Kind.running``."""
        reason = "it is host code, which nothing compiles"
        return (Running(name_of(payload.fn), line_of(payload.fn), Way.NATIVE, reason),)

    def as_jax(self, payload: HostPayload) -> NoJax:
        """See ``Kind.as_jax``."""
        return NoJax(f"{payload.fn.__name__!r} is host code")

    def encode(self, payload: HostPayload, type_: Function) -> Encoded:
        """See ``Kind.encode``: Python code is not written to bytes."""
        raise UnsupportedError(
            f"The host code {payload.fn.__name__!r} cannot be stored, for it is Python",
            found=type_,
            at=place(),
            hint="write it in JAX, or keep it out of the program that is stored",
        )

    def decode(self, data: bytes, type_: Function) -> Foreign:
        """See ``Kind.decode``: nothing is written under the name of this kind."""
        raise CorruptDataError("No bytes hold host code", found=f"{len(data)} bytes", at=place())

    def examine(self, payload: HostPayload, type_: Function) -> None:
        """See ``Kind.examine``."""
        raise AssertionError("host code is never decoded; please report")


def _to_user(plain: Any, type_: Type) -> Any:
    match type_:
        case Sequence(element):
            return (_to_user(item, element) for item in plain)
        case Struct(fields):
            return pack(type_, [_to_user(item, t) for (_, t), item in zip(fields, plain, strict=True)])
        case _:
            return from_plain(plain, type_)


def _content(fn: Callable[..., Any]) -> bytes:
    """What a function is made of: its code, its defaults, and the values it captures."""
    code = getattr(fn, "__code__", None)
    if not isinstance(code, CodeType):
        return _identity(fn)
    captured = [cell.cell_contents for cell in getattr(fn, "__closure__", None) or ()]
    return _code(code) + b"".join(map(_value, captured))


def _code(code: CodeType) -> bytes:
    """The instructions of a function and of those inside it, with the constants and names that they use."""
    constants = [_code(c) if isinstance(c, CodeType) else repr(c).encode() for c in code.co_consts]
    names = repr((code.co_names, code.co_varnames, code.co_freevars)).encode()
    return b"\0".join([code.co_code, names, *constants])


def _value(value: object) -> bytes:
    """The content of a captured value; values that are no data count as themselves, in this process."""
    try:
        return str(constant(value)).encode()
    except (FoedusError, AssertionError):
        return _content(value) if callable(value) else _identity(value)


def _identity(value: object) -> bytes:
    return f"{type(value).__qualname__} {id(value)} {secrets.token_hex(16)}".encode()


KIND = NumpyKind()
