# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Runs ``main`` of the script that its argument names, and prints what that returns as JSON."""

import json
import runpy
import sys

import numpy as np


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str) else np.asarray(value).tolist()


print(json.dumps(plain(runpy.run_path(sys.argv[1])["main"]())))
