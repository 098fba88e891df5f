# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types and values to bytes and back: versioned, checked before they are read, safe to read from anybody."""

from foedus.wire._type import decode_type, encode_type
from foedus.wire._value import decode_value, encode_value

__all__ = ["decode_type", "decode_value", "encode_type", "encode_value"]
