# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types, values and programs to bytes and back: versioned, checked before they are read, safe from anybody.

Types, values and what programs are made of stay readable for good. Leaves, which are compiled code, stay
readable as long as JAX promises for what ``jax.export`` writes: it runs with a JAX released up to six months
later, or three weeks before. See ``docs/wire.md``.
"""

from foedus.wire._leaves import Sender
from foedus.wire._program import encode_program
from foedus.wire._program_reader import decode_program
from foedus.wire._type import decode_type, encode_type
from foedus.wire._value import decode_value, encode_value

__all__ = [
    "Sender",
    "decode_program",
    "decode_type",
    "decode_value",
    "encode_program",
    "encode_type",
    "encode_value",
]
