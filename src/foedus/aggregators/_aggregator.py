# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What an aggregator is."""

from __future__ import annotations

import abc

from foedus.errors import CompositionError, place
from foedus.process import Process
from foedus.types import EMPTY, STRING, Struct, Tensor, Type, field_path

_FLOATS = "fcV"  # bfloat16's kind is V
_REAL = "iufV"


class Aggregator(abc.ABC):
    """A way to make one value at the server of values at clients, still open in their type.

    Aggregators are values and compose by nesting.
    """

    @abc.abstractmethod
    def create(self, value_type: Type, weight_type: Type = EMPTY) -> Process:
        """The process for one type of values.

        Args:
            value_type: What each client has.
            weight_type: The type of each client's weight; the empty struct for none.

        Returns:
            A process with ``next: (<state=S@SERVER,value={V}@CLIENTS,weight={W}@CLIENTS> -> <state=S@SERVER,
            result=R@SERVER,measurements=M@SERVER>)``.

        Raises:
            CompositionError: If it cannot aggregate such values.
        """


def require_floats(type_: Type, what: str, path: str = "") -> None:
    """Raises unless every leaf of a type is of floating point or complex numbers."""
    match type_:
        case Struct(fields):
            for i, (name, t) in enumerate(fields):
                require_floats(t, what, path + field_path(i, name))
        case Tensor(dtype) if dtype.kind in _FLOATS and dtype != STRING:
            return
        case _:
            raise CompositionError(
                f"{what} needs floating point or complex numbers",
                found=type_,
                at=place(f"{path} of the value" if path else "the value"),
            )


def require_number(weight_type: Type) -> None:
    """Raises unless a type is that of one real number."""
    match weight_type:
        case Tensor(dtype, ()) if dtype.kind in _REAL and dtype != STRING:
            return
        case _:
            raise CompositionError(
                "A weight is one number",
                found=weight_type,
                expected="a scalar number",
                at=place("the weight"),
            )
