# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Data to train on and data to test on."""

from __future__ import annotations

from dataclasses import dataclass

from foedus.simulation._client_data import ClientData


@dataclass(frozen=True, slots=True)
class Splits:
    """A data set in its usual two parts.

    Args:
        train: To train on.
        test: To test on: other clients, or other examples of the same ones; the data set says which.
    """

    train: ClientData
    test: ClientData
