# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What inner loops do to weights that stay the same in them: a recurrent layer's forward and backward pass.

The gradient of a scan adds up ``h_t^T d_t`` in the size of the weights at every step. The same sum is
one product over all steps, of factors that are far smaller than the weights (Appleyard, Kocisky and
Blunsom, "Optimizing performance of recurrent neural networks on GPUs", 2016, section 3.4).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from jax import lax
from jax.extend import core

_ADDITIONS = ("add", "add_any")
_CHEAP = ("add", "sub", "mul", "neg")
_LEAST_STEPS = 4
"""A loop of fewer steps is left as it is."""


@dataclass(frozen=True, slots=True)
class Accumulation:
    """A carry of a scan that only adds up products.

    Args:
        carry: Which carry.
        left: The first factor in the scan's body.
        right: The second.
        product: The step that multiplies them.
        permutation: How the product is transposed before it is added, None if it is not.
        steps: The steps of the body that this takes the place of.
    """

    carry: int
    left: Any
    right: Any
    product: core.JaxprEqn
    permutation: tuple[int, ...] | None
    steps: tuple[core.JaxprEqn, ...]


def accumulations(scan: core.JaxprEqn) -> list[Accumulation]:
    """The carries of a scan that only add up products of factors smaller than themselves.

    Args:
        scan: The scan.

    Returns:
        One entry for each such carry.
    """
    if scan.params["length"] < _LEAST_STEPS:
        return []
    body = scan.params["jaxpr"].jaxpr
    makers = {out: step for step in body.eqns for out in step.outvars}
    uses = Counter(atom for step in body.eqns for atom in step.invars if not isinstance(atom, core.Literal))
    uses.update(atom for atom in body.outvars if not isinstance(atom, core.Literal))
    first = scan.params["num_consts"]
    found = [
        _accumulation(i, body.invars[first + i], body.outvars[i], makers, uses)
        for i in range(scan.params["num_carry"])
    ]
    return [one for one in found if one is not None]


def _accumulation(carry: int, given: Any, out: Any, makers: Any, uses: Any) -> Accumulation | None:
    if isinstance(out, core.Literal) or uses[given] != 1 or uses[out] != 1 or out not in makers:
        return None
    addition = makers[out]
    if addition.primitive.name not in _ADDITIONS or given not in addition.invars:
        return None
    added = addition.invars[1] if addition.invars[0] is given else addition.invars[0]
    steps, permutation = [addition], None
    product = None if isinstance(added, core.Literal) or uses[added] != 1 else makers.get(added)
    if product is not None and product.primitive.name == "transpose":
        steps.append(product)
        permutation, turned_from = product.params["permutation"], product.invars[0]
        product = None if uses[turned_from] != 1 else makers.get(turned_from)
    if product is None or product.primitive.name != "dot_general":
        return None
    left, right = product.invars
    if isinstance(left, core.Literal) or isinstance(right, core.Literal):
        return None
    if _size(left) + _size(right) > _size(out):
        return None
    return Accumulation(carry, left, right, product, permutation, (*steps, product))


def _size(atom: Any) -> int:
    return math.prod(atom.aval.shape)


def collected(one: Accumulation, left: Any, right: Any) -> Any:
    """The sum of an accumulation.

    Args:
        one: The accumulation.
        left: Its first factors, ``[steps, ...]``.
        right: Its second factors.

    Returns:
        The sum over all steps.
    """
    (a, b), (batch_a, batch_b) = one.product.params["dimension_numbers"]

    def later(dimensions: Any) -> tuple[int, ...]:
        return tuple(d + 1 for d in dimensions)

    total = lax.dot_general(
        left,
        right,
        (((0, *later(a)), (0, *later(b))), (later(batch_a), later(batch_b))),
        precision=one.product.params["precision"],
        preferred_element_type=one.product.params["preferred_element_type"],
    )
    return total if one.permutation is None else lax.transpose(total, one.permutation)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a scan gives at every step, and how little of it has to be written down while it runs.

    Args:
        kept: The variables of the body that are written down, each once.
        shifted: Variables that are a carry before a step, and the variable that is the same carry after it.
        steps: The steps that make the others, for all rows at once, in order.
    """

    kept: tuple[Any, ...]
    shifted: dict[Any, tuple[int, Any]]
    steps: tuple[core.JaxprEqn, ...]

    @property
    def saves(self) -> bool:
        """Whether anything need not be written down."""
        return bool(self.shifted or self.steps)


def rows_of(scan: core.JaxprEqn) -> Rows:
    """How to write down what a scan gives at every step.

    A gradient asks for a sigmoid ``s`` and for ``s (1 - s)``, and for a state before and after a step; one of
    each is enough.

    Args:
        scan: The scan.

    Returns:
        What is written down, and how the rest follows.
    """
    body = scan.params["jaxpr"].jaxpr
    first, carries = scan.params["num_consts"], scan.params["num_carry"]
    asked = [atom for atom in body.outvars[carries:] if not isinstance(atom, core.Literal)]
    given = {body.invars[first + i]: (i, body.outvars[i]) for i in range(carries)}
    makers = {out: step for step in body.eqns for out in step.outvars}
    kept = list(dict.fromkeys(asked))
    shifted: dict[Any, tuple[int, Any]] = {}
    needed: set[int] = set()
    for atom in list(kept) if scan.params["length"] >= _LEAST_STEPS else []:
        others = set(kept) - {atom}
        if atom in given and given[atom][1] in others:
            shifted[atom] = given[atom]
            kept.remove(atom)
        elif (steps := _steps_to(atom, others - set(shifted), makers)) is not None:
            needed |= steps
            kept.remove(atom)
    return Rows(tuple(kept), shifted, tuple(step for step in body.eqns if id(step) in needed))


def _steps_to(atom: Any, known: set[Any], makers: Any, depth: int = 3) -> set[int] | None:
    """The ids of a few cheap steps that make a variable of known ones, None if there are none."""
    if isinstance(atom, core.Literal) or atom in known:
        return set()
    step = makers.get(atom)
    if step is None or step.primitive.name not in _CHEAP or not depth:
        return None
    found = {id(step)}
    for operand in step.invars:
        own = _steps_to(operand, known, makers, depth - 1)
        if own is None:
            return None
        found |= own
    return found


def turned(scan: core.JaxprEqn) -> dict[Any, set[int]]:
    """Weights that a scan reads across their layout, and the ids of the products that do.

    Args:
        scan: The scan.

    Returns:
        For each matrix that stays the same in all steps, by its variable in the body, the products ``x @
        w.T``.
    """
    body = scan.params["jaxpr"].jaxpr
    same = body.invars[: scan.params["num_consts"]] if scan.params["length"] >= _LEAST_STEPS else []
    return _products_with(same, body, along=1)


_NARROW = 64
"""Up to this many columns, weights that a loop reads and changes are better kept lying down in it."""
_TALLER = 4


def lying_carries(loop: core.JaxprEqn) -> dict[Any, set[int]]:
    """Tall and narrow weights that a ``while`` loop reads in products and changes, as training does.

    Args:
        loop: The loop.

    Returns:
        For each, by its variable in the body, the ids of the products ``x @ w``.
    """
    body = loop.params["body_jaxpr"].jaxpr
    carries = body.invars[loop.params["body_nconsts"] :]
    changed = [before for before, after in zip(carries, body.outvars, strict=True) if before is not after]
    found = _products_with(changed, body, along=0)
    return {weights: products for weights, products in found.items() if _is_narrow(weights.aval)}


def _is_narrow(shape: Any) -> bool:
    tall, narrow = shape.shape
    return narrow <= _NARROW and tall >= _TALLER * narrow


def _products_with(matrices: list[Any], body: core.Jaxpr, *, along: int) -> dict[Any, set[int]]:
    """For each matrix the ids of the products of other matrices with it that sum over its dimension
    ``along``.
    """
    found: dict[Any, set[int]] = {}
    for step in body.eqns:
        if step.primitive.name != "dot_general" or step.invars[1] not in matrices:
            continue
        matrix: Any = step.invars[1]
        (left, right), batch = step.params["dimension_numbers"]
        if batch == ((), ()) and tuple(right) == (along,) and len(left) == 1 and len(matrix.aval.shape) == 2:
            found.setdefault(matrix, set()).add(id(step))
    return found
