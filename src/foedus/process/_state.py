# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What all processes are checked for: a state at the server that goes from step to step."""

from __future__ import annotations

from foedus.errors import CompositionError, place
from foedus.lang import Computation
from foedus.types import SERVER, Federated, Struct, Type, difference, field_path

STEPS = "every step takes what the one before it has left, so the types must be the same"


def require_state(initialize: Computation, next_: Computation) -> Federated:
    """Checks that one computation makes a state at the server and that another takes it first.

    Args:
        initialize: What makes the first state.
        next_: What takes it on.

    Returns:
        The type of the state, as the step takes it.

    Raises:
        CompositionError: If they do not fit together; the error names the first place where the states
            differ.
    """
    state = initialize.type.result
    if not isinstance(state, Federated) or state.placement != SERVER:
        is_elsewhere = isinstance(state, Federated)
        raise CompositionError(
            "initialize does not return a state at the server",
            found=state,
            expected="S@SERVER",
            at=place(),
            hint="members of other placements come and go between steps; what is kept is at the server"
            if is_elsewhere
            else "return federated_value(..., SERVER) or federated_zip of the parts",
        )
    taken = first_parameter(next_)
    if taken is None:
        raise CompositionError(
            "next takes no state",
            found=next_.type,
            expected=f"(<{state}, ...> -> ...)",
            at=place(),
            hint="its first argument is the state that initialize makes",
        )
    require_same(taken, state, "The state that initialize returns is not the one that next takes")
    assert isinstance(taken, Federated)
    return taken


def first_parameter(computation: Computation) -> Type | None:
    """The type of the first argument of a computation; None where it takes none."""
    parameter = computation.type.parameter
    if isinstance(parameter, Struct) and parameter.fields:
        return parameter.fields[0][1]
    return parameter


def require_same(target: Type, source: Type, headline: str, *, why: str = STEPS) -> None:
    """Raises unless a state can be used as the one that is taken.

    Args:
        target: The state that is taken.
        source: The state that there is.
        headline: What is wrong otherwise.
        why: Why they must be the same.

    Raises:
        CompositionError: If it cannot; the error names the first place where the two differ.
    """
    found = difference(target, source)
    if found is not None:
        raise CompositionError(
            headline,
            found=found.found,
            expected=found.expected,
            at=place(f"{found.path} of the state" if found.path else "the state"),
            hint=why,
        )


def path_elsewhere(type_: Type, path: str = "") -> str | None:
    """The path of the first part of a type that is not at the server; None where all of it is there."""
    match type_:
        case Federated(placement=placement):
            return None if placement == SERVER else path
        case Struct(fields):
            paths = (path_elsewhere(t, path + field_path(i, n)) for i, (n, t) in enumerate(fields))
            return next((found for found in paths if found is not None), None)
        case _:
            return path
