# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The language as Python: ``@computation``, the operators, and the current interpreter."""

from foedus.lang._computation import Computation, PolymorphicComputation, computation
from foedus.lang._current import Interpreter, current, set_default_runtime, use
from foedus.lang._operators import (
    federated_aggregate,
    federated_apply,
    federated_broadcast,
    federated_eval,
    federated_key,
    federated_map,
    federated_max,
    federated_mean,
    federated_min,
    federated_sum,
    federated_value,
    federated_zip,
)
from foedus.lang._trace import Value

__all__ = [
    "Computation",
    "Interpreter",
    "PolymorphicComputation",
    "Value",
    "computation",
    "current",
    "federated_aggregate",
    "federated_apply",
    "federated_broadcast",
    "federated_eval",
    "federated_key",
    "federated_map",
    "federated_max",
    "federated_mean",
    "federated_min",
    "federated_sum",
    "federated_value",
    "federated_zip",
    "set_default_runtime",
    "use",
]
