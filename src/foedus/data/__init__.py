# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Values at rest: cohorts, ragged columns, sequences and their declared transforms, keys."""

from foedus.data._arguments import argument_type, cohorts_of, from_result, to_argument
from foedus.data._cohort import Cohort, Source, cohort_of, concatenate, empty_columns, to_member
from foedus.data._elements import (
    Columns,
    Elements,
    Hints,
    Ragged,
    Span,
    flat_columns,
    has_rows,
    map_columns,
    stack,
)
from foedus.data._keys import (
    MULTIPLIERS,
    ROUNDS,
    ClientId,
    Key,
    client_key,
    client_keys,
    derive_key,
    half_bits,
    permutation,
)
from foedus.data._members import Members, Tiers, members_of
from foedus.data._transforms import (
    Batch,
    Filter,
    Map,
    Repeat,
    Shuffle,
    Take,
    Transform,
    after,
    transformed,
)

__all__ = [
    "MULTIPLIERS",
    "ROUNDS",
    "Batch",
    "ClientId",
    "Cohort",
    "Columns",
    "Elements",
    "Filter",
    "Hints",
    "Key",
    "Map",
    "Members",
    "Ragged",
    "Repeat",
    "Shuffle",
    "Source",
    "Span",
    "Take",
    "Tiers",
    "Transform",
    "after",
    "argument_type",
    "client_key",
    "client_keys",
    "cohort_of",
    "cohorts_of",
    "concatenate",
    "derive_key",
    "empty_columns",
    "flat_columns",
    "from_result",
    "half_bits",
    "has_rows",
    "map_columns",
    "members_of",
    "permutation",
    "stack",
    "to_argument",
    "to_member",
    "transformed",
]
