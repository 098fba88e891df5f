# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Recursion as deep as memory allows, for programs that are nested deeper than Python's stack.

A recursive function is written as a generator, and calls itself with ``yield from Later(...)``:

```
def depth(node: Node) -> Steps[int]:
    deepest = 0
    for child in children(node):
        deepest = max(deepest, (yield from Later(depth(child))))
    return deepest + 1

finished(depth(program))
```
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeAlias, TypeVar, cast, final

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Steps: TypeAlias = Generator["Later[object]", object, T]
"""A function on its way to a result of type ``T``."""


@final
class Later(Generic[T_co]):
    """A call that is made outside of the caller's frame.

    Args:
        steps: The function called.
    """

    __slots__ = ("steps",)

    def __init__(self, steps: Steps[T_co]) -> None:
        self.steps = steps

    def __iter__(self) -> Steps[T_co]:
        return cast("T_co", (yield self))


def finished(steps: Steps[T]) -> T:
    """Runs a function, and all that it calls, to the end.

    Args:
        steps: The function called.

    Returns:
        Its result.
    """
    callers: list[Steps[object]] = [steps]
    result: object = None
    while callers:
        try:
            call = callers[-1].send(result)
        except StopIteration as end:
            callers.pop()
            result = end.value
        else:
            callers.append(call.steps)
            result = None
    return cast("T", result)
