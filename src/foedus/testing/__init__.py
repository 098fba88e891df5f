# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for types, values and programs, for tests of whoever builds on Foedus.

They need `hypothesis`, which `pip install "foedus[dev]"` brings.
"""

from foedus.testing._near_miss_strategies import NearMiss, near_misses
from foedus.testing._program_strategies import Program, programs
from foedus.testing._type_strategies import plain_types, types
from foedus.testing._value_strategies import values

__all__ = ["NearMiss", "Program", "near_misses", "plain_types", "programs", "types", "values"]
