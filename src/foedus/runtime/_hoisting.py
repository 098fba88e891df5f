# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Takes what loops turn in every turn out of them, where it stays the same. XLA leaves it in: it takes
transposing for free, and on a CPU it is a walk across a matrix.
"""

from __future__ import annotations

from typing import Any

from jax.extend import core


def hoisted(jaxpr: core.Jaxpr) -> core.Jaxpr:
    """A traced program in which no ``while`` loop transposes what it does not change.

    Args:
        jaxpr: The program.

    Returns:
        Its like.
    """
    steps: list[core.JaxprEqn] = []
    for step in jaxpr.eqns:
        if step.primitive.name == "while":
            before, step = _taken_out(step)
            steps += before
        steps.append(step)
    return jaxpr.replace(eqns=steps)


def _taken_out(loop: core.JaxprEqn) -> tuple[list[core.JaxprEqn], core.JaxprEqn]:
    """The steps that are done before a loop from now on, and the loop without them."""
    params, conds = loop.params, loop.params["cond_nconsts"]
    split = conds + params["body_nconsts"]
    closed = params["body_jaxpr"]
    body = hoisted(closed.jaxpr)
    outside: dict[Any, Any] = dict(zip(body.invars, loop.invars[conds:split], strict=False))
    inside = {
        id(step) for step in body.eqns if step.primitive.name == "transpose" and step.invars[0] in outside
    }
    moved = [step for step in body.eqns if id(step) in inside]
    made = [step.outvars[0] for step in moved]
    invars = [*body.invars[: len(outside)], *made, *body.invars[len(outside) :]]
    lean = body.replace(invars=invars, eqns=[step for step in body.eqns if id(step) not in inside])
    before = [step.replace(invars=[outside[step.invars[0]]]) for step in moved]
    return before, loop.replace(
        invars=[*loop.invars[:split], *made, *loop.invars[split:]],
        params={
            **params,
            "body_jaxpr": core.ClosedJaxpr(lean, closed.consts),
            "body_nconsts": params["body_nconsts"] + len(made),
        },
    )
