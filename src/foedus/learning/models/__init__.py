# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Models: functions and types, made from what people already have."""

from foedus.learning.models._from_jax import from_jax
from foedus.learning.models._from_keras import from_keras, optimizer_from_keras
from foedus.learning.models._model import Forward, Mode, Model, ModelWeights, NonTrainable

__all__ = [
    "Forward",
    "Mode",
    "Model",
    "ModelWeights",
    "NonTrainable",
    "from_jax",
    "from_keras",
    "optimizer_from_keras",
]
