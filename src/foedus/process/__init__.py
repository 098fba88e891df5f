# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Processes: typed pairs of computations that carry a state from step to step."""

from foedus.process._process import Output, Process

__all__ = ["Output", "Process"]
