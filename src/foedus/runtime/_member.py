# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What one member of a placement does in a stage, whether compiled or natively."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foedus.runtime._evaluate import Leaves, contribution, evaluate
from foedus.runtime._leaves import Traced
from foedus.runtime._plan import Stage, at_server, fields_of, operator_of
from foedus.runtime._secure import RANGED, SELECTS, out_of_range
from foedus.types import Federated, Struct, Type

_TRACED = Traced()


def given_and_kept(
    stage: Stage, scope: Mapping[str, Any], limits: Mapping[str, Any], leaves: Leaves
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one member gives to the reductions at the server, and what of it is kept."""
    given: dict[str, Any] = {}
    kept = {name: scope[name] for name in stage.outputs}
    for name, node in stage.reductions:
        own = contribution(node, scope, leaves)
        if at_server(node):
            given[name] = own
        else:
            kept[f"given/{name}"] = own
        if operator_of(node) in RANGED:
            kept[f"range/{name}"] = out_of_range(own, limits[name])
    for name, node in stage.calls:
        if operator_of(node) in SELECTS:
            keys = evaluate(fields_of(node.argument)[0], scope, leaves)
            kept[f"range/{name}"] = out_of_range(keys, limits[name])
    return given, kept


def keeps_something(stage: Stage) -> bool:
    """Whether ``given_and_kept`` keeps anything of a member."""
    checked = not stage.operators.isdisjoint((*RANGED, *SELECTS))
    return bool(stage.outputs) or checked or not stage.reduces_to_server


def merged_argument(server: Any, type_: Type, views: Mapping[str, Any], path: str) -> Any:
    """An argument as one member sees it: its own values, and what is the same for all."""
    match type_:
        case Federated() if path in views:
            return views[path]
        case Struct(fields) if isinstance(server, tuple) and len(server) == len(fields):
            parts = enumerate(zip(fields, server, strict=True))
            return tuple(merged_argument(item, t, views, f"{path}/{i}") for i, ((_, t), item) in parts)
        case _:
            return server


def stage_at_server(stage: Stage) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A stage at the server as a function that JAX can trace, from the values it may read to its outputs."""

    def run(scope: Mapping[str, Any]) -> dict[str, Any]:
        inner = dict(scope)
        for name, node in stage.calls:
            inner[name] = evaluate(node, inner, _TRACED)
        return {name: inner[name] for name in stage.outputs}

    return run
