# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""An explanation as JSON.

The document is one object. Names are added to it and never changed in meaning without a new ``version``.
``null`` stands for what is not known before a run.

| name | value |
|---|---|
| ``format`` | always ``"foedus.explanation"`` |
| ``version`` | 1 |
| ``name`` | the computation's name |
| ``type`` | its type, in the compact notation that ``foedus.types.parse`` reads |
| ``placements`` | a list from the server down to the clients |
| ``placements[].name`` | such as ``"CLIENTS"`` |
| ``placements[].members`` | how many there are, or null |
| ``placements[].starts_with`` | a list of ``{"path", "type"}``: the parts of the argument that are there |
| ``placements[].receives`` | the numbers of the crossings that end there |
| ``placements[].sends`` | the numbers of the crossings that begin there |
| ``placements[].ends_with`` | a list of ``{"path", "type"}``: the parts of the result that are there |
| ``placements[].bytes_from_above`` | what one member gets from above, or null |
| ``placements[].bytes_to_above`` | what one member sends up, or null |
| ``crossings`` | a list in the order of the program |
| ``crossings[].number`` | from 1 |
| ``crossings[].operator`` | such as ``"federated_sum"`` |
| ``crossings[].what`` | which of the operator's messages, such as ``"value"`` |
| ``crossings[].type`` | the type of one message |
| ``crossings[].from`` | a placement, or ``"PROGRAM"`` for constants |
| ``crossings[].to`` | a placement |
| ``crossings[].direction`` | ``"up"`` or ``"down"`` |
| ``crossings[].each`` | the placement that has one message a member |
| ``crossings[].bytes_each`` | the size of one message, or null |
| ``crossings[].bytes_in_all`` | of all messages, or null |
| ``crossings[].travels_as`` | ``copy``, ``plain sum``, ``secure sum``, ``raw collection`` or ``hidden`` |
| ``local_code`` | a list |
| ``local_code[].where`` | a placement, or null for code on values that are not placed |
| ``local_code[].kind`` | such as ``"jax"`` |
| ``local_code[].functions`` | how many different functions |
| ``local_code[].host_code`` | whether it runs as plain Python |
| ``local_code[].loaded_from_bytes`` | whether its source is not here |
| ``ways`` | a list: which way the local runtime runs code, where there is something to tell |
| ``ways[].where`` | a placement, or null for code on values that are not placed |
| ``ways[].kind`` | the kind of the leaf |
| ``ways[].digest`` | the first digits of its digest |
| ``ways[].name`` | what its author calls the code, or null |
| ``ways[].line`` | where its author wrote it, or null |
| ``ways[].way`` | ``natively`` or ``lowered`` |
| ``ways[].reason`` | why |
| ``ways[].unless`` | what data would make it run natively all the same, or null |
"""

from __future__ import annotations

import json
from typing import TypeAlias

from foedus.explain._local_code import CodeWay, LocalCode
from foedus.explain._overview import Overview, Row, Seen
from foedus.types import Type, show

FORMAT = "foedus.explanation"
VERSION = 1

_Json: TypeAlias = "str | int | bool | list[_Json] | dict[str, _Json] | None"


def as_json(view: Overview) -> str:
    """Writes an explanation as JSON; the docstring of this module is its schema.

    Args:
        view: What there is to tell.

    Returns:
        The document, indented, in ASCII, without a line break at its end.
    """
    document: _Json = {
        "format": FORMAT,
        "version": VERSION,
        "name": view.name,
        "type": show(view.type),
        "placements": [_placement(seen) for seen in view.placements],
        "crossings": [_crossing(row) for row in view.rows],
        "local_code": [_code(code) for code in view.local_code],
        "ways": [_way(way) for way in view.ways],
    }
    return json.dumps(document, indent=2)


def _placement(seen: Seen) -> _Json:
    return {
        "name": seen.name,
        "members": seen.members,
        "starts_with": _held(seen.starts_with),
        "receives": [row.number for row in seen.receives],
        "sends": [row.number for row in seen.sends],
        "ends_with": _held(seen.ends_with),
        "bytes_from_above": seen.bytes_from_above(),
        "bytes_to_above": seen.bytes_to_above(),
    }


def _held(parts: tuple[tuple[str, Type], ...]) -> _Json:
    return [{"path": path, "type": show(t)} for path, t in parts]


def _crossing(row: Row) -> _Json:
    c = row.crossing
    return {
        "number": row.number,
        "operator": c.operator,
        "what": c.what,
        "type": show(c.type),
        "from": c.origin,
        "to": c.destination,
        "direction": "up" if row.up else "down",
        "each": row.each,
        "bytes_each": c.bytes_per_client,
        "bytes_in_all": row.in_all,
        "travels_as": row.way.value,
    }


def _code(code: LocalCode) -> _Json:
    return {
        "where": code.where,
        "kind": code.kind,
        "functions": code.functions,
        "host_code": code.is_host_code,
        "loaded_from_bytes": code.is_loaded,
    }


def _way(way: CodeWay) -> _Json:
    running = way.running
    return {
        "where": way.where,
        "kind": way.kind,
        "digest": way.digest,
        "name": running.name or None,
        "line": running.line,
        "way": running.way.value,
        "reason": running.reason,
        "unless": way.unless,
    }
