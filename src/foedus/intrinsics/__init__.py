# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The operators of the language: one closed table."""

from foedus.intrinsics._table import TABLE, Flow, Row, result_type

__all__ = ["TABLE", "Flow", "Row", "result_type"]
