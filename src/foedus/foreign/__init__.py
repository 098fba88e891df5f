# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The seam between the language and the frameworks that local code is written in."""

from foedus.foreign._kind import Encoded, Kind, LocalFunction, Nature, NoJax, Payload, Running, Way
from foedus.foreign._table import kind

__all__ = ["Encoded", "Kind", "LocalFunction", "Nature", "NoJax", "Payload", "Running", "Way", "kind"]
