# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Names at the root of TFF with nothing behind them."""

from __future__ import annotations

from foedus.tff._absent import Absent

__all__ = [
    "NamedTupleType",
    "federated_collect",
    "to_value",
    "utils",
]


def _absent(name: str, instead: str) -> Absent:
    return Absent(f"tff.{name}", instead)


_STAYS = "a client's values do not leave it as they are; aggregate them with federated_aggregate"
federated_collect = _absent("federated_collect", _STAYS)
_OPERATORS = "values of a computation are made by its operators"
to_value = _absent("to_value", _OPERATORS)
_STRUCT = "it is tff.types.StructType"
NamedTupleType = _absent("NamedTupleType", _STRUCT)
_MOVED = "it is tff.templates, tff.structure and tff.simulation now"
utils = _absent("utils", _MOVED)
