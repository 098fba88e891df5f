# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled programs that take only what they use, and give only what they compute."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import partial_eval

from foedus.errors import FoedusError, TracingError, failing_line, place

Suit = Callable[[core.ClosedJaxpr], Callable[..., list[Any]]]
"""From what was traced to a function of the same flat arrays, in a form that suits the device."""


@final
class Program:
    """A compiled program.

    What it returns as it was given never enters compiled code, which would copy it; what it does not use is
    not brought to the device.

    Args:
        compiled: From the arrays that are used to those that are computed.
        takes: Which of the flat arguments it takes.
        gives: Of each flat result, which flat argument it is; None if it is computed.
        result: The structure of the result.
        used: For each leaf of the arguments, whether anything computed depends on it, or it is returned.

    Attributes:
        is_short: Whether it is known to take so little time that nobody would interrupt it.
    """

    def __init__(
        self,
        compiled: Callable[..., list[Any]],
        takes: list[int],
        gives: list[int | None],
        result: Any,
        used: Any,
    ) -> None:
        self._compiled = compiled
        self._takes = takes
        self._passed_on = [(at, i) for at, i in enumerate(gives) if i is not None]
        self._result = result
        self.used = used
        self.is_short = False

    def __call__(self, *arguments: Any) -> Any:
        flat = jax.tree.leaves(arguments)
        found = list(self._compiled(*[flat[i] for i in self._takes]))
        for at, i in self._passed_on:
            found.insert(at, flat[i])
        return self._result.unflatten(found)


def compile_program(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    suit: Suit,
    on_cpu: bool,
    donated: tuple[int, ...],
    soon: bool,
    on_traced: Callable[[Any], None],
) -> Program:
    """Compiles a function.

    Args:
        function: Of arrays in pytrees.
        arguments: What it is to be called with, or the shapes of that.
        suit: Gives what was traced the form that suits the device.
        on_cpu: Whether that is a CPU.
        donated: Which arguments it may write its results over.
        soon: Whether to spend less time on it, where that changes nothing in the results.
        on_traced: Told the shapes of the results, before the program is compiled.

    Returns:
        The program.

    Raises:
        TracingError: If it cannot be traced or compiled.
    """
    try:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        position = {variable: i for i, variable in enumerate(traced.jaxpr.invars)}
        gives = [
            None if isinstance(atom, core.Literal) else position.get(atom) for atom in traced.jaxpr.outvars
        ]
        flat, structure = jax.tree.flatten(arguments)
        lean, needed = without_waste(traced.jaxpr, [i is None for i in gives])
        takes = [i for i in range(len(flat)) if needed[i]]
        may_go = [number in donated for number, one in enumerate(arguments) for _ in jax.tree.leaves(one)]
        over = tuple(k for k, i in enumerate(takes) if may_go[i] and i not in gives)
        own = suit(core.ClosedJaxpr(lean, traced.consts))
        lowered = jax.jit(own, donate_argnums=over).lower(*(flat[i] for i in takes))
        used = structure.unflatten([i in {*takes, *gives} for i in range(len(flat))])
        on_traced(shapes)  # Not before: from here on XLA is at work, and Python has time for something else.
        options = dict[str, Any](_ON_CPU if on_cpu else {})
        if soon and on_cpu and _is_plain(lean, [True] * len(lean.outvars)):
            options |= _FORMER
        compiled = _compiled(lowered, options)
        return Program(compiled, takes, gives, jax.tree.structure(shapes), used)
    except FoedusError:
        raise
    except Exception as error:
        raise TracingError(
            "Local code failed while it was compiled",
            found=f"{type(error).__name__}: {error}",
            at=failing_line(error) or place(),
        ) from error


_ON_CPU = {"xla_backend_optimization_level": 1}
"""More of LLVM's optimizations take a tenth of the time and make nothing faster: XLA writes for vectors."""
_FORMER = {"xla_cpu_use_fusion_emitters": False}
"""XLA's former code generator for loops over elements: it takes two thirds of the time."""
_ROUNDED = {"add", "sub", "mul", "div", "rem", "sqrt", "square", "integer_pow", "add_any", "reduce_sum"}
_EXACT = {"abs", "neg", "sign", "max", "min", "clamp", "floor", "ceil", "round", "is_finite", "select_n"}
_LOGIC = {"and", "or", "xor", "not", "eq", "ne", "lt", "le", "gt", "ge", "reduce_and", "reduce_or"}
_BITS = {"shift_left", "shift_right_logical", "bitcast_convert_type", "threefry2x32", "random_fold_in"}
_MOVED = {
    "broadcast_in_dim",
    "concatenate",
    "copy",
    "dynamic_slice",
    "gather",
    "iota",
    "pad",
    "reshape",
    "rev",
}
_CALLS = {"jit", "cond"}
_PLAIN = (
    _ROUNDED | _EXACT | _LOGIC | _BITS | _MOVED | {"slice", "squeeze", "transpose", "convert_element_type"}
)
_PLAIN |= {"reduce_max", "reduce_min", "random_wrap", "random_unwrap", *_CALLS}
"""Operations of which either code generator makes the same bits. Not so ``pow``, ``exp`` and the like."""
_FINITE_OF_FINITE = {"dot_general"}
"""Others that make something finite of the same numbers with either, but not the same bits."""


def _is_plain(jaxpr: core.Jaxpr, exact: list[bool]) -> bool:
    """Whether a program computes the same bits with either code generator.

    Args:
        jaxpr: The program.
        exact: Of each result, whether all its bits count, or only whether it is finite.
    """
    counts = {atom for atom, all_bits in zip(jaxpr.outvars, exact, strict=True) if all_bits and _varies(atom)}
    for equation in reversed(jaxpr.eqns):
        name, asked = equation.primitive.name, [variable in counts for variable in equation.outvars]
        if name not in _PLAIN and (name not in _FINITE_OF_FINITE or any(asked)):
            return False
        inner = core.jaxprs_in_params(equation.params) if name in _CALLS else ()
        if not all(_is_plain(part, asked) for part in inner):
            return False
        if any(asked) and name != "is_finite":
            counts |= {atom for atom in equation.invars if _varies(atom)}
    return True


def _varies(atom: Any) -> bool:
    return not isinstance(atom, core.Literal)


def _compiled(lowered: Any, options: dict[str, Any]) -> Any:
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # An XLA that does not know an option.
        return lowered.compile(options)
    return lowered.compile()


def without_waste(jaxpr: core.Jaxpr, wanted: list[bool]) -> tuple[core.Jaxpr, list[bool]]:
    """A traced program without the steps that nothing depends on, in its loops too.

    Args:
        jaxpr: The program.
        wanted: Of each result, whether it counts.

    Returns:
        A program of what is needed of the inputs, which gives what is wanted of the results; and of each
        input, whether it is needed.
    """
    return partial_eval.dce_jaxpr(_with_lean_loops(jaxpr), wanted)


def _with_lean_loops(jaxpr: core.Jaxpr) -> core.Jaxpr:
    """JAX leaves steps out of scans and calls, and not out of other loops."""
    return jaxpr.replace(eqns=[_lean_loop(e) if e.primitive.name == "while" else e for e in jaxpr.eqns])


def _lean_loop(equation: core.JaxprEqn) -> core.JaxprEqn:
    """A loop without the steps that nothing depends on, nor what they alone are given."""
    params, conds, fixed = equation.params, equation.params["cond_nconsts"], equation.params["body_nconsts"]
    closed = params["body_jaxpr"]
    carries = len(closed.jaxpr.outvars)
    body, needed = partial_eval.dce_jaxpr(
        _with_lean_loops(closed.jaxpr), [True] * carries, [False] * fixed + [True] * carries
    )
    given = [atom for atom, is_needed in zip(equation.invars[conds:], needed, strict=True) if is_needed]
    lean = {"body_jaxpr": core.ClosedJaxpr(body, closed.consts), "body_nconsts": len(given) - carries}
    return equation.replace(invars=[*equation.invars[:conds], *given], params={**params, **lean})


_FEW = 64
"""How many numbers there are at most in anything that a trifle computes."""


def computes_a_trifle(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function computes nothing but a few whole numbers, as to derive a key or to count rounds.

    Those are the same to the last bit in whatever program they are computed, and cost nothing.

    Args:
        function: Of arrays in pytrees.
        arguments: What it is to be called with.

    Returns:
        Whether it does.
    """
    return _trifle(jax.make_jaxpr(function)(*arguments).jaxpr)


def _trifle(jaxpr: core.Jaxpr) -> bool:
    made: list[Any] = [variable.aval for equation in jaxpr.eqns for variable in equation.outvars]
    if any(equation.effects or equation.primitive.name in ("scan", "while") for equation in jaxpr.eqns):
        return False
    if not all(a.size <= _FEW and not jnp.issubdtype(a.dtype, jnp.inexact) for a in made):
        return False
    inner = (part for equation in jaxpr.eqns for part in core.jaxprs_in_params(equation.params))
    return all(map(_trifle, inner))
