# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Traced programs in the forms that XLA's CPU backend does well.

What a front end traced is walked through once, and convolutions, pooling, the weights of inner loops and
those of which a step changes some rows are put differently; everything else stays as it is. The results are
the same up to the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend import core

from foedus.runtime._added_rows import added_rows
from foedus.runtime._convolutions import convolve
from foedus.runtime._hoisting import hoisted
from foedus.runtime._loops import Accumulation, Rows, accumulations, collected, lying_carries, rows_of, turned
from foedus.runtime._products import lies_down, lying_product
from foedus.runtime._windows import reduce_windows, scatter_to_selected

_CALLS = {
    "jit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
"""Calls that are written out where something inside them changes, and where they keep what they call."""


def rewritten(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does the same in forms that suit XLA's CPU backend.

    Args:
        function: A function of arrays in pytrees, as ``jax.jit`` takes it.

    Returns:
        Its like. It is traced when it is called.
    """

    def run(*arguments: Any) -> Any:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        found = in_other_forms(traced)(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    return run


def in_other_forms(traced: core.ClosedJaxpr) -> Callable[..., list[Any]]:
    """As ``rewritten``, for what was traced: a function of flat arrays."""

    def run(*flat: Any) -> list[Any]:
        found = jax.make_jaxpr(lambda *given: _run(traced.jaxpr, traced.consts, given))(*flat)
        return core.jaxpr_as_fun(core.ClosedJaxpr(hoisted(found.jaxpr), found.consts))(*flat)

    return run


def _changes(jaxpr: core.Jaxpr) -> bool:
    """Whether a program has anything to be put differently."""
    if added_rows(jaxpr):
        return True
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in ("conv_general_dilated", "select_and_scatter_add") or name.startswith("reduce_window_"):
            return True
        if name == "dot_general" and lies_down(*_operands(equation), equation.params):
            return True
        if any(_changes(inner) for inner in core.jaxprs_in_params(equation.params)):
            return True
        if name == "while" and lying_carries(equation):
            return True
        if name == "scan" and (accumulations(equation) or turned(equation) or rows_of(equation).saves):
            return True
    return False


class _Scope:
    """The values of a program's variables while it is run."""

    def __init__(self, jaxpr: core.Jaxpr, consts: Sequence[Any], arguments: Sequence[Any]) -> None:
        self.values = dict(zip(jaxpr.constvars, consts, strict=True))
        self.values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(self, atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else self.values[atom]

    def write(self, equation: core.JaxprEqn, results: Sequence[Any]) -> None:
        self.values |= dict(zip(equation.outvars, results, strict=True))


def _run(jaxpr: core.Jaxpr, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    scope = _Scope(jaxpr, consts, arguments)
    _walk(jaxpr, scope)
    return [scope.read(atom) for atom in jaxpr.outvars]


def _walk(
    jaxpr: core.Jaxpr,
    scope: _Scope,
    *,
    instead: Callable[[core.JaxprEqn], Any | None] = lambda _: None,
    left_out: frozenset[int] = frozenset(),
    needed: frozenset[Any] = frozenset(),
) -> None:
    """Does the steps of a program.

    Args:
        jaxpr: The program.
        scope: Where its values are.
        instead: Gives the one result of a step that is done in another way, None for others.
        left_out: The ids of the steps that are not to be done.
        needed: What has to be there afterwards, beside the program's results.
    """
    sums = {
        id(own.sum): own
        for own in added_rows(jaxpr)
        if needed.isdisjoint(name for step in own.left_out for name in step.outvars)
    }
    left_out = left_out.union(id(step) for own in sums.values() for step in own.left_out)
    for step in jaxpr.eqns:
        if id(step) in left_out:
            continue
        result = sums[id(step)].apply(scope.read, _unchanged) if id(step) in sums else instead(step)
        own = [result] if result is not None else _step(step, [scope.read(atom) for atom in step.invars])
        scope.write(step, own)


def _step(equation: core.JaxprEqn, given: list[Any]) -> Sequence[Any]:
    """One step of a program, put differently where that is better."""
    name, params = equation.primitive.name, equation.params
    result = None
    if name == "conv_general_dilated":
        result = convolve(given[0], given[1], params)
    elif name.startswith("reduce_window_"):
        result = reduce_windows(name, given[0], params)
    elif name == "dot_general" and lies_down(*_operands(equation), params):
        result = lying_product(given[0], given[1], params)
    elif name == "select_and_scatter_add":
        result = scatter_to_selected(given[0], given[1], params)
    if result is not None:
        return [result]
    if name in _CALLS and _inner_changes(equation):
        called = params[_CALLS[name]]
        return (
            _run(called, (), given)
            if isinstance(called, core.Jaxpr)
            else _run(called.jaxpr, called.consts, given)
        )
    if name == "scan":
        return _scan(equation, given)
    if name == "while":
        return _while(equation, given)
    if name == "cond" and _inner_changes(equation):
        branches = [_function(branch) for branch in params["branches"]]
        return lax.switch(given[0], branches, *given[1:])
    return _unchanged(equation, given)


def _unchanged(equation: core.JaxprEqn, given: list[Any]) -> Sequence[Any]:
    primitive = equation.primitive
    with equation.ctx.manager:
        results = primitive.bind(*given, **primitive.get_bind_params(equation.params))
    return results if primitive.multiple_results else [results]


def _operands(equation: core.JaxprEqn) -> tuple[Any, Any]:
    """The shapes of the two operands of a product."""
    one, other = equation.invars
    return one.aval, other.aval


def _inner_changes(equation: core.JaxprEqn) -> bool:
    return any(_changes(inner) for inner in core.jaxprs_in_params(equation.params))


def _function(closed: core.ClosedJaxpr) -> Callable[..., Any]:
    return lambda *given: _run(closed.jaxpr, closed.consts, given)


def _while(equation: core.JaxprEqn, given: list[Any]) -> Sequence[Any]:
    """A loop, with narrow weights that it changes lying down in it."""
    params, lying = equation.params, lying_carries(equation)
    if not lying and not _inner_changes(equation):
        return _unchanged(equation, given)
    conds, bodies = params["cond_nconsts"], params["body_nconsts"]
    cond, closed = _function(params["cond_jaxpr"]), params["body_jaxpr"]
    for_cond, for_body, start = given[:conds], given[conds : conds + bodies], given[conds + bodies :]
    carried = closed.jaxpr.invars[bodies:]

    def turned_around(carry: Sequence[Any]) -> tuple[Any, ...]:
        pairs = zip(carried, carry, strict=True)
        return tuple(lax.transpose(value, (1, 0)) if name in lying else value for name, value in pairs)

    def body(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        scope = _Scope(closed.jaxpr, closed.consts, [*for_body, *turned_around(carry)])
        weights = {
            step: value for name, value in zip(carried, carry, strict=True) for step in lying.get(name, ())
        }

        def instead(step: core.JaxprEqn) -> Any | None:
            return _with_turned(step, scope, weights[id(step)], along=1) if id(step) in weights else None

        _walk(closed.jaxpr, scope, instead=instead)
        return turned_around([scope.read(atom) for atom in closed.jaxpr.outvars])

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return cond(*for_cond, *turned_around(carry))[0]

    return turned_around(lax.while_loop(goes_on, body, turned_around(start)))


def _scan(equation: core.JaxprEqn, given: list[Any]) -> Sequence[Any]:
    """A scan with its sums of products taken out, and its weights turned the way they are read."""
    params, found = equation.params, accumulations(equation)
    closed: core.ClosedJaxpr = params["jaxpr"]
    weights, noted = turned(equation), rows_of(equation)
    if not found and not weights and not noted.saves and not _inner_changes(equation):
        return _unchanged(equation, given)
    consts, carries = params["num_consts"], params["num_carry"]
    fixed, start, xs = given[:consts], given[consts : consts + carries], given[consts + carries :]
    summed = {one.carry for one in found}
    transposed = {
        variable: lax.transpose(fixed[closed.jaxpr.invars.index(variable)], (1, 0)) for variable in weights
    }
    left_out = frozenset(id(step) for one in found for step in one.steps)
    products = {number for own in weights.values() for number in own}
    needed = frozenset([*noted.kept, *(factor for one in found for factor in (one.left, one.right))])

    def body(carry: Any, x: Any) -> Any:
        full = dict(zip([i for i in range(carries) if i not in summed], carry, strict=True))
        arguments = [*fixed, *(full.get(i) for i in range(carries)), *x]
        scope = _Scope(closed.jaxpr, closed.consts, arguments)

        def instead(step: core.JaxprEqn) -> Any | None:
            if id(step) not in products:
                return None
            return _with_turned(step, scope, transposed[step.invars[1]], along=0)

        _walk(closed.jaxpr, scope, instead=instead, left_out=left_out, needed=needed)
        after = [scope.read(closed.jaxpr.outvars[i]) for i in range(carries) if i not in summed]
        rows = [scope.read(atom) for atom in noted.kept]
        factors = [(scope.read(one.left), scope.read(one.right)) for one in found]
        return after, (rows, factors)

    length, backward = params["length"], params["reverse"]
    kept = [value for i, value in enumerate(start) if i not in summed]
    after, (rows, factors) = lax.scan(
        body, kept, list(xs), length=length, reverse=backward, unroll=params["unroll"]
    )
    all_rows = _all_rows(noted, rows, start, backward=backward)
    asked = [_stacked(atom, all_rows, length) for atom in closed.jaxpr.outvars[carries:]]
    return [*_put_back(after, found, factors, start), *asked]


def _all_rows(noted: Rows, kept: Sequence[Any], start: Sequence[Any], *, backward: bool) -> dict[Any, Any]:
    """What a scan gives at every step, out of what was written down."""
    rows = dict(zip(noted.kept, kept, strict=True))
    for step in noted.steps:
        operands = [atom.val if isinstance(atom, core.Literal) else rows[atom] for atom in step.invars]
        (rows[step.outvars[0]],) = _unchanged(step, operands)
    for before, (carry, after) in noted.shifted.items():
        first = jax.numpy.asarray(start[carry])[None]
        parts = (rows[after][1:], first) if backward else (first, rows[after][:-1])
        rows[before] = lax.concatenate(parts, 0)
    return rows


def _stacked(atom: Any, rows: dict[Any, Any], length: int) -> Any:
    if not isinstance(atom, core.Literal):
        return rows[atom]
    value = jax.numpy.asarray(atom.val)
    return jax.numpy.broadcast_to(value, (length, *value.shape))


def _with_turned(step: core.JaxprEqn, scope: _Scope, weights: Any, *, along: int) -> Any:
    """A product with weights that have been turned, whose dimension ``along`` is summed over."""
    (left, _), _ = step.params["dimension_numbers"]
    return lax.dot_general(
        scope.read(step.invars[0]),
        weights,
        ((left, (along,)), ((), ())),
        precision=step.params["precision"],
        preferred_element_type=step.params["preferred_element_type"],
    )


def _put_back(
    after: Sequence[Any], found: list[Accumulation], factors: Sequence[Any], start: Sequence[Any]
) -> list[Any]:
    """The carries of the scan as it was, sums included."""
    sums = {
        one.carry: start[one.carry] + collected(one, *own) for one, own in zip(found, factors, strict=True)
    }
    others = iter(after)
    return [sums[i] if i in sums else next(others) for i in range(len(start))]
