# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Keras takes its backend from the environment when it is first imported, which the modules here do."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
