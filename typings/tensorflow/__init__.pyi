# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
# TensorFlow is an extra, and says little of its types: for the type checker, all of it is `Any`.

from typing import Any

def __getattr__(name: str) -> Any: ...
