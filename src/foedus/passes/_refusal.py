# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""How a canonical form is refused: with the binding that makes it impossible, and what that depends on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from foedus.errors import CompositionError, place
from foedus.ir import Call, Node, Record, free_names, show_program
from foedus.types import SERVER, Federated, field_path

_MOST_SHOWN = 140


def _short(node: Node) -> str:
    """The text of a node, cut in the middle where it is long: operator and operands stand at the ends."""
    text = show_program(node)
    return text if len(text) <= _MOST_SHOWN else f"{text[:90]}...{text[-40:]}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Words the errors about one program.

    Args:
        form: The form that it was asked for.
        calls: Its bindings, as far as they are known.
    """

    form: str
    calls: Mapping[str, Call]

    def error(
        self,
        name: str,
        why: str,
        *,
        because_of: Collection[str] = (),
        expected: str | None = None,
        hint: str | None = None,
    ) -> CompositionError:
        """An error about a binding.

        Args:
            name: The binding's name.
            why: What is wrong with it.
            because_of: Names; the shortest way from the binding to one of these is shown.
            expected: What there should have been.
            hint: What to do about it.

        Returns:
            The error, to be raised by the caller.
        """
        return CompositionError(
            f"This computation has no {self.form}: {why}",
            found="\nwhere ".join(f"{n}={_short(self.calls[n])}" for n in self._way(name, because_of)),
            expected=expected,
            at=place(f"{name} of the call-dominant form"),
            hint=hint,
        )

    def _way(self, name: str, ends: Collection[str]) -> list[str]:
        """From a binding to the nearest of some others."""
        ways = [[name]]
        seen = {name}
        for way in ways:
            if way[-1] in ends:
                return way
            for further in sorted(free_names(self.calls[way[-1]]) - seen):
                if further in self.calls:
                    seen.add(further)
                    ways.append([*way, further])
        return [name]

    def require_at_server(self, result: Node, path: str = "") -> None:
        """Refuses results that are not at the server.

        Args:
            result: The result, or a field of it.
            path: Where it stands.

        Raises:
            CompositionError: If there is one; the error names its path.
        """
        if isinstance(result, Record):
            for i, (name, child) in enumerate(result.fields):
                self.require_at_server(child, path + field_path(i, name))
            return
        type_ = result.type
        if isinstance(type_, Federated) and type_.placement == SERVER:
            return
        where = type_.placement if isinstance(type_, Federated) else None
        calls = [f"{n}={_short(self.calls[n])}" for n in sorted(free_names(result)) if n in self.calls]
        raise CompositionError(
            f"This computation has no {self.form}: a result "
            + ("is placed nowhere" if where is None else f"stays at {where}"),
            found="\nwhere ".join([_short(result), *calls]),
            expected="results at SERVER",
            at=place(f"{path} of the result" if path else "the result"),
            hint="place it with federated_value(..., SERVER)"
            if where is None
            else "aggregate it, or leave it out of the result",
        )
