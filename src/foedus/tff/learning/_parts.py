# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The parts that a learning process is composed of, and their checks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from foedus.errors import CompositionError, place
from foedus.tff._computations import Computation
from foedus.tff.learning._client_work import ClientResult
from foedus.tff.templates import MeasuredProcess
from foedus.tff.types import FederatedType, SequenceType, StructType, Type
from foedus.types import CLIENTS, SERVER, PlacementLiteral


def parameters_of(process: MeasuredProcess) -> list[Any]:
    """The types of what ``next`` takes, the state first."""
    parameter = process.next.type_signature.parameter
    if isinstance(parameter, StructType):
        return [t for _, t in parameter.items()]
    return [parameter]


def _check_next(process: MeasuredProcess, what: str, arguments: list[tuple[str, PlacementLiteral]]) -> None:
    """Raises unless ``next`` takes a state and these arguments, and all it gives is placed."""
    taken = parameters_of(process)
    names = ["state", *(name for name, _ in arguments)]
    if len(taken) != len(names):
        raise CompositionError(
            f"The `next_fn` of a {what} takes another number of arguments",
            found=process.next.type_signature,
            expected=f"{len(names)} arguments: {', '.join(names)}",
            at=place("next_fn"),
        )
    for name, found, placement in [
        ("state", taken[0], SERVER),
        *((n, t, p) for (n, p), t in zip(arguments, taken[1:], strict=True)),
    ]:
        check_placed(found, placement, f"The argument {name!r} of a {what}'s `next_fn`")


def check_placed(found: Type, placement: PlacementLiteral, what: str) -> None:
    """Raises unless a type is at a placement."""
    if isinstance(found, FederatedType) and found.placement == placement:
        return
    raise CompositionError(
        f"{what} is not at {placement}",
        found=found,
        expected=f"{'T' if placement == SERVER else '{T}'}@{placement}",
        at=place("next_fn"),
    )


def _check_results(process: MeasuredProcess, what: str, placement: PlacementLiteral) -> None:
    result = process.next.type_signature.result
    check_placed(result.result, placement, f"The result of a {what}")
    check_placed(result.measurements, SERVER, f"What a {what} measures")


class DistributionProcess(MeasuredProcess):
    """A measured process from a value at the server to one at the clients.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,V@SERVER> -> <state=S@SERVER,result={V}@CLIENTS,measurements=M@SERVER>)``.

    Raises:
        CompositionError: If they are of other types.
    """

    def __init__(self, initialize_fn: Computation, next_fn: Computation) -> None:
        super().__init__(initialize_fn, next_fn)
        _check_next(self, "DistributionProcess", [("value", SERVER)])
        _check_results(self, "DistributionProcess", CLIENTS)


class _WithHparams(MeasuredProcess):
    """A process with hyperparameters in its state."""

    def __init__(
        self,
        initialize_fn: Computation,
        next_fn: Computation,
        *,
        get_hparams_fn: Callable[[Any], Any] | None = None,
        set_hparams_fn: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(initialize_fn, next_fn)
        self._get_hparams = get_hparams_fn or (lambda state: OrderedDict())
        self._set_hparams = set_hparams_fn or (lambda state, hparams: state)

    def get_hparams(self, state: Any) -> Any:
        """The hyperparameters in a state."""
        return self._get_hparams(state)

    def set_hparams(self, state: Any, hparams: Any) -> Any:
        """The state with other hyperparameters."""
        return self._set_hparams(state, hparams)


class ClientWorkProcess(_WithHparams):
    """What clients do with the weights that they got, and their data.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,{W}@CLIENTS,{D*}@CLIENTS> -> <state=S@SERVER,result={<update=U,
            update_weight=float32>}@CLIENTS,measurements=M@SERVER>)``.
        get_hparams_fn: From a state to hyperparameters; none if not given.
        set_hparams_fn: From a state and hyperparameters to a state; it stays as it is if not given.

    Raises:
        CompositionError: If they are of other types.
    """

    def __init__(
        self,
        initialize_fn: Computation,
        next_fn: Computation,
        *,
        get_hparams_fn: Callable[[Any], Any] | None = None,
        set_hparams_fn: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(initialize_fn, next_fn, get_hparams_fn=get_hparams_fn, set_hparams_fn=set_hparams_fn)
        what = "ClientWorkProcess"
        _check_next(self, what, [("weights", CLIENTS), ("data", CLIENTS)])
        data = parameters_of(self)[2]
        if not _is_data(data.member):
            raise CompositionError(
                f"The data of a {what} are no data sets",
                found=data,
                expected="{T*}@CLIENTS, or a struct of such",
                at=place("next_fn"),
            )
        _check_results(self, what, CLIENTS)
        result = self.next.type_signature.result.result.member
        if not isinstance(result, StructType) or result.fields() != list(ClientResult._fields):
            raise CompositionError(
                f"The result of a {what} is no ClientResult",
                found=result,
                expected="<update=U,update_weight=W>",
                at=place("next_fn"),
            )


def _is_data(found: Type) -> bool:
    if isinstance(found, StructType):
        return len(found) > 0 and all(_is_data(t) for t in found)
    return isinstance(found, SequenceType)


class FinalizerProcess(_WithHparams):
    """From the weights at the server and the clients' aggregated update to new weights.

    Args:
        initialize_fn: ``( -> S@SERVER)``.
        next_fn: ``(<S@SERVER,W@SERVER,U@SERVER> -> <state=S@SERVER,result=W@SERVER,measurements=M@SERVER>)``.
        get_hparams_fn: From a state to hyperparameters; none if not given.
        set_hparams_fn: From a state and hyperparameters to a state; it stays as it is if not given.

    Raises:
        CompositionError: If they are of other types.
    """

    def __init__(
        self,
        initialize_fn: Computation,
        next_fn: Computation,
        *,
        get_hparams_fn: Callable[[Any], Any] | None = None,
        set_hparams_fn: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(initialize_fn, next_fn, get_hparams_fn=get_hparams_fn, set_hparams_fn=set_hparams_fn)
        what = "FinalizerProcess"
        _check_next(self, what, [("weights", SERVER), ("update", SERVER)])
        _check_results(self, what, SERVER)
        weights, result = parameters_of(self)[1], self.next.type_signature.result.result
        if not weights.is_assignable_from(result):
            raise CompositionError(
                f"The result of a {what} is not the weights that it takes",
                found=result,
                expected=weights,
                at=place("next_fn"),
            )
