# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the command line: ``python -m foedus``."""

from foedus.cli import main

if __name__ == "__main__":
    main()
