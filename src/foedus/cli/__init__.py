# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``foedus``."""

from foedus.cli._command import main

__all__ = ["main"]
