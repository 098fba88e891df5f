# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Short names for common types."""

from __future__ import annotations

from typing import Final

from foedus.types._infer import to_type
from foedus.types._types import CLIENTS, DTYPES, SERVER, Federated, Sequence, Shape, Struct, Tensor

bool_: Final = Tensor(DTYPES["bool"])
int8: Final = Tensor(DTYPES["int8"])
int16: Final = Tensor(DTYPES["int16"])
int32: Final = Tensor(DTYPES["int32"])
int64: Final = Tensor(DTYPES["int64"])
uint8: Final = Tensor(DTYPES["uint8"])
uint16: Final = Tensor(DTYPES["uint16"])
uint32: Final = Tensor(DTYPES["uint32"])
uint64: Final = Tensor(DTYPES["uint64"])
float16: Final = Tensor(DTYPES["float16"])
bfloat16: Final = Tensor(DTYPES["bfloat16"])
float32: Final = Tensor(DTYPES["float32"])
float64: Final = Tensor(DTYPES["float64"])
complex64: Final = Tensor(DTYPES["complex64"])
complex128: Final = Tensor(DTYPES["complex128"])
string: Final = Tensor(DTYPES["str"])
EMPTY: Final = Struct(())
"""The struct without fields, ``<>``."""
KEY: Final = Tensor(DTYPES["uint32"], (2,))
"""A random key: the raw data of one of JAX's threefry keys."""


def tensor(dtype: object, shape: Shape | None = ()) -> Tensor:
    """A tensor type from whatever names a dtype.

    Args:
        dtype: Such as ``"float32"``, ``np.int32`` or ``bool``.
        shape: Length per dimension, None for an unknown one; None for an unknown rank.

    Returns:
        The type.
    """
    scalar = to_type(dtype)
    assert isinstance(scalar, Tensor)
    return Tensor(scalar.dtype, shape)


def sequence(element: object) -> Sequence:
    """The type of sequences of what a specification describes (see ``to_type``)."""
    return Sequence(to_type(element))


def struct(*fields: object, **named: object) -> Struct:
    """A struct type.

    Args:
        *fields: Specifications of the fields without names.
        **named: Specifications of the named fields, which come after them.

    Returns:
        The type, without a container.
    """
    unnamed = tuple((None, to_type(spec)) for spec in fields)
    return Struct(unnamed + tuple((name, to_type(spec)) for name, spec in named.items()))


def at_clients(member: object, *, all_equal: bool = False) -> Federated:
    """The type of values at clients.

    Args:
        member: The type of what each client has, or what specifies it (see ``to_type``).
        all_equal: Whether all clients have the same.

    Returns:
        ``{member}@CLIENTS``, or ``member@CLIENTS`` if all are equal.
    """
    return Federated(to_type(member), CLIENTS, all_equal)


def at_server(member: object) -> Federated:
    """The type of a value at the server, which prints as ``member@SERVER``.

    Args:
        member: Its type, or what specifies it (see ``to_type``).

    Returns:
        The type.
    """
    return Federated(to_type(member), SERVER, all_equal=True)
