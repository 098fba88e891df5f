# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences as local code sees them: something to fold over, in a compiled loop or eagerly."""

from foedus.sequences._eager import EagerSequence
from foedus.sequences._flat import FlatSequence
from foedus.sequences._sequence import PaddedStep, Sequence, Step

__all__ = ["EagerSequence", "FlatSequence", "PaddedStep", "Sequence", "Step"]
