# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Every exception that Foedus raises at a user.

```
FoedusError
├── TypeMismatchError (TypeError)
│   ├── PlacementError
│   └── StructureError
├── TypeSyntaxError (ValueError)
├── ArgumentError (ValueError)
├── TracingError (TypeError)
├── CompositionError (TypeError)
├── ExecutionError (RuntimeError)
│   └── ClientError
├── UnsupportedError (NotImplementedError)
├── DataError (ValueError)
│   └── CorruptDataError
├── MissingDataError (FileNotFoundError)
├── OutputError (OSError)
├── MissingExtraError (ImportError)
└── EnvironmentMismatchError (RuntimeError)

RetracingWarning, LargeConstantWarning (UserWarning)
```
"""

from foedus.errors._here import (
    describe_line,
    failing_line,
    is_users_code,
    place,
    raised_by_user,
    user_line,
)
from foedus.errors._tree import (
    ArgumentError,
    ClientError,
    CompositionError,
    CorruptDataError,
    DataError,
    EnvironmentMismatchError,
    ExecutionError,
    FoedusError,
    LargeConstantWarning,
    MissingDataError,
    MissingExtraError,
    OutputError,
    PlacementError,
    RetracingWarning,
    StructureError,
    TracingError,
    TypeMismatchError,
    TypeSyntaxError,
    UnsupportedError,
)

__all__ = [
    "ArgumentError",
    "ClientError",
    "CompositionError",
    "CorruptDataError",
    "DataError",
    "EnvironmentMismatchError",
    "ExecutionError",
    "FoedusError",
    "LargeConstantWarning",
    "MissingDataError",
    "MissingExtraError",
    "OutputError",
    "PlacementError",
    "RetracingWarning",
    "StructureError",
    "TracingError",
    "TypeMismatchError",
    "TypeSyntaxError",
    "UnsupportedError",
    "describe_line",
    "failing_line",
    "is_users_code",
    "place",
    "raised_by_user",
    "user_line",
]
