# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes: typed computations that carry a state from step to step, and their composition."""

from foedus.process._composition import chain, concatenate
from foedus.process._iterative import EstimationProcess, IterativeProcess
from foedus.process._process import Output, Process

__all__ = ["EstimationProcess", "IterativeProcess", "Output", "Process", "chain", "concatenate"]
