# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of which a step of training changes some rows: an embedding, above all.

The gradient of reading rows is an array of zeros with something added to those rows, as large as the weights.
Where it is only multiplied by a number and added to them, the rows are added to the weights themselves, and
nothing as large as they are is made. Where no row is read twice, not a bit differs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend import core

Do = Callable[[core.JaxprEqn, list[Any]], Sequence[Any]]
"""From a step and its operands to its results."""

_LARGER = 2
"""So many times as large as what is added have weights to be for this to pay."""


@dataclass(frozen=True)
class AddedRows:
    """A sum of weights and of rows that are nothing but zero elsewhere.

    Args:
        sum: The step that adds both.
        weights: What they are added to.
        scatter: The step that adds the rows to zeros.
        scaled: The steps between them: negations, and products with a number.
        zeros: The step that makes the zeros.
    """

    sum: core.JaxprEqn
    weights: Any
    scatter: core.JaxprEqn
    scaled: tuple[core.JaxprEqn, ...]
    zeros: core.JaxprEqn

    @property
    def left_out(self) -> tuple[core.JaxprEqn, ...]:
        """The steps that are not done any more."""
        return (self.scatter, *self.scaled, self.zeros)

    def apply(self, read: Callable[[Any], Any], do: Do) -> Any:
        """The sum.

        Args:
            read: Gives the value of a variable.
            do: Does a step.
        """
        indices, rows = map(read, self.scatter.invars[1:])
        for step in self.scaled:
            (rows,) = do(step, [atom.val if isinstance(atom, core.Literal) else rows for atom in step.invars])
        (total,) = do(self.scatter, [read(self.weights), indices, rows])
        return total


def added_rows(jaxpr: core.Jaxpr) -> list[AddedRows]:
    """All such sums in a program; not in the loops and calls inside it."""
    if not any(equation.primitive.name == "scatter-add" for equation in jaxpr.eqns):
        return []
    return list(_found(jaxpr))


def _found(jaxpr: core.Jaxpr) -> Iterator[AddedRows]:
    atoms = [atom for equation in jaxpr.eqns for atom in equation.invars] + list(jaxpr.outvars)
    uses = Counter(atom for atom in atoms if not isinstance(atom, core.Literal))
    made_by = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}
    for equation in jaxpr.eqns:
        if equation.primitive.name != "add":
            continue
        for weights, rows in (equation.invars, equation.invars[::-1]):
            found = _rows(rows, uses, made_by)
            if found is not None and weights is not rows and _is_array(weights):
                yield AddedRows(equation, weights, *found)
                break


def _rows(
    atom: Any, uses: Counter[Any], made_by: dict[Any, core.JaxprEqn]
) -> tuple[core.JaxprEqn, tuple[core.JaxprEqn, ...], core.JaxprEqn] | None:
    """The steps that make an array of zeros with some rows added, each of which nothing else uses."""
    scaled: list[core.JaxprEqn] = []
    while _is_array(atom) and uses[atom] == 1 and (step := made_by.get(atom)) is not None:
        name = step.primitive.name
        if name == "scatter-add":
            zeros = made_by.get(step.invars[0])
            if zeros is None or uses[step.invars[0]] != 1 or not _pays(step) or not _are_zeros(zeros):
                return None
            return step, tuple(reversed(scaled)), zeros
        factors = [own.val for own in step.invars if isinstance(own, core.Literal)]
        if name != "neg" and not (name == "mul" and len(factors) == 1 and _is_finite(factors[0])):
            return None
        scaled.append(step)
        (atom,) = (own for own in step.invars if _is_array(own))
    return None


def _pays(scatter: core.JaxprEqn) -> bool:
    to, _, rows = (math.prod(shaped.shape) for shaped in _shapes(scatter))
    return to >= _LARGER * rows


def _shapes(step: core.JaxprEqn) -> list[Any]:
    return [atom.aval for atom in step.invars]


def _are_zeros(step: core.JaxprEqn) -> bool:
    (value,) = step.invars if step.primitive.name == "broadcast_in_dim" else (None,)
    return isinstance(value, core.Literal) and np.ndim(value.val) == 0 and value.val == 0


def _is_finite(value: Any) -> bool:
    """Whether a value is one finite number."""
    return np.ndim(value) == 0 and bool(np.isfinite(value))


def _is_array(atom: Any) -> bool:
    return not isinstance(atom, core.Literal)
