# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``tff.backends``: where computations run, and the forms they are brought to."""

from foedus.tff.backends import mapreduce, native, reference, test

__all__ = ["mapreduce", "native", "reference", "test"]
