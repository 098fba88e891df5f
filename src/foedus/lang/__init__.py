# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The language as Python: ``@computation``, the operators, and the current interpreter."""

from foedus.lang._computation import Computation, PolymorphicComputation, computation, program
from foedus.lang._current import Interpreter, current, set_default_runtime, use
from foedus.lang._host import HostFunction, host
from foedus.lang._operators import (
    apply_operator,
    federated_apply,
    federated_broadcast,
    federated_eval,
    federated_key,
    federated_map,
    federated_secure_select,
    federated_select,
    federated_value,
    federated_zip,
)
from foedus.lang._reductions import (
    federated_aggregate,
    federated_max,
    federated_mean,
    federated_min,
    federated_secure_modular_sum,
    federated_secure_sum,
    federated_secure_sum_bitwidth,
    federated_sum,
)
from foedus.lang._sequence_operators import sequence_map, sequence_reduce, sequence_sum
from foedus.lang._tensorflow import TensorflowFunction, tensorflow
from foedus.lang._trace import Value, in_local_code, is_tracing

__all__ = [
    "Computation",
    "HostFunction",
    "Interpreter",
    "PolymorphicComputation",
    "TensorflowFunction",
    "Value",
    "apply_operator",
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
    "federated_secure_modular_sum",
    "federated_secure_select",
    "federated_secure_sum",
    "federated_secure_sum_bitwidth",
    "federated_select",
    "federated_sum",
    "federated_value",
    "federated_zip",
    "host",
    "in_local_code",
    "is_tracing",
    "program",
    "sequence_map",
    "sequence_reduce",
    "sequence_sum",
    "set_default_runtime",
    "tensorflow",
    "use",
]
