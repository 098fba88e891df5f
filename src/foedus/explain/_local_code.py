# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Which local code runs where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from foedus.foreign import Nature, kind
from foedus.ir import Block, Call, Foreign, Intrinsic, Lambda, Node, walk
from foedus.types import SERVER, Federated


@dataclass(frozen=True, slots=True)
class LocalCode:
    """The functions of one kind of local code that run at one placement.

    Args:
        where: The placement's name; None for code that is called on values that are not placed.
        kind: The name of the kind, such as ``jax``.
        functions: How many different functions there are; equal code counts once.
    """

    where: str | None
    kind: str
    functions: int

    @property
    def is_host_code(self) -> bool:
        """Whether it runs as plain Python, for one client after another."""
        return kind(self.kind).nature is Nature.HOST

    @property
    def is_loaded(self) -> bool:
        """Whether it was loaded from bytes, so that its source is not here."""
        return kind(self.kind).nature is Nature.LOADED


def local_code(flat: Lambda, order: tuple[str, ...]) -> tuple[LocalCode, ...]:
    """Counts the local code of a program.

    Args:
        flat: A program in flat form.
        order: The names of placements in the order in which to list them; what is not placed comes last.

    Returns:
        One entry a placement and kind.
    """
    digests: dict[tuple[str | None, str], set[str]] = {}
    for where, leaf in _leaves(flat):
        digests.setdefault((where, leaf.kind), set()).add(leaf.digest)

    def rank(key: tuple[str | None, str]) -> tuple[int, str]:
        return (len(order) if key[0] is None else order.index(key[0]), key[1])

    return tuple(LocalCode(*key, len(digests[key])) for key in sorted(digests, key=rank))


def _leaves(flat: Lambda) -> Iterator[tuple[str | None, Foreign]]:
    """Every leaf, with the name of the placement where it runs."""
    assert isinstance(flat.body, Block)
    for node in (*(bound for _, bound in flat.body.bindings), flat.body.result):
        where = _where(node)
        yield from ((where, leaf) for leaf in walk(node) if isinstance(leaf, Foreign))


def _where(node: Node) -> str | None:
    if not isinstance(node, Call) or not isinstance(node.function, Intrinsic):
        return None
    if node.function.name in ("federated_select", "federated_secure_select"):
        return SERVER.name
    return node.type.placement.name if isinstance(node.type, Federated) else None
