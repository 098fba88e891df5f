# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""An explanation as JSON: the documented schema, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given

import foedus as fd
from foedus.explain import _json as written
from foedus.testing import Program, programs
from foedus.types import parse

from .explained_programs import COUNTRIES, DISTRICTS, REGIONS, RUNS, in_regions, protected

PLACEMENTS = (REGIONS, COUNTRIES, DISTRICTS, fd.CLIENTS, fd.SERVER)
NUMBER_OR_UNKNOWN = (int, type(None))
HELD = [{"path": str, "type": str}]
SCHEMA = {
    "format": str,
    "version": int,
    "name": str,
    "type": str,
    "placements": [
        {
            "name": str,
            "members": NUMBER_OR_UNKNOWN,
            "starts_with": HELD,
            "receives": [int],
            "sends": [int],
            "ends_with": HELD,
            "bytes_from_above": NUMBER_OR_UNKNOWN,
            "bytes_to_above": NUMBER_OR_UNKNOWN,
        }
    ],
    "crossings": [
        {
            "number": int,
            "operator": str,
            "what": str,
            "type": str,
            "from": str,
            "to": str,
            "direction": str,
            "each": str,
            "bytes_each": NUMBER_OR_UNKNOWN,
            "bytes_in_all": NUMBER_OR_UNKNOWN,
            "travels_as": str,
        }
    ],
    "local_code": [
        {
            "where": (str, type(None)),
            "kind": str,
            "functions": int,
            "host_code": bool,
            "loaded_from_bytes": bool,
        }
    ],
    "ways": [
        {
            "where": (str, type(None)),
            "kind": str,
            "digest": str,
            "name": (str, type(None)),
            "line": (str, type(None)),
            "way": str,
            "reason": str,
            "unless": (str, type(None)),
        }
    ],
}


def breaks(schema: Any, value: Any, path: str = "") -> list[str]:
    """Where a document is not as a schema says: with other names, in another order, or of another type."""
    if isinstance(schema, dict):
        if not isinstance(value, dict) or list(value) != list(schema):
            return [f"{path}: {value}"]
        return [line for name in schema for line in breaks(schema[name], value[name], f"{path}.{name}")]
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{path}: {value}"]
        return [line for item in value for line in breaks(schema[0], item, f"{path}[]")]
    allowed = schema if isinstance(schema, tuple) else (schema,)
    return [] if type(value) in allowed else [f"{path}: {value}"]


def names(schema: Any, path: str = "") -> set[str]:
    """Every name in a schema, as the documentation writes them."""
    if isinstance(schema, list):
        return names(schema[0], f"{path}[]")
    if not isinstance(schema, dict) or schema is HELD[0]:
        return set()
    found = {f"{path}.{name}".lstrip(".") for name in schema}
    return found.union(*(names(inner, f"{path}.{name}".lstrip(".")) for name, inner in schema.items()))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_documents_follow_the_schema(run):
    document = json.loads(fd.explain(run.program, clients=3).to_json())
    assert breaks(SCHEMA, document) == []
    assert (document["format"], document["version"]) == ("foedus.explanation", 1)
    assert parse(document["type"], placements=PLACEMENTS) == run.program.type


def test_every_name_is_documented():
    documented = set(re.findall(r"^\| ``([a-z_.\[\]]+)`` \|", written.__doc__ or "", re.MULTILINE))
    assert documented == names(SCHEMA) - {"placements[].starts_with[]", "placements[].ends_with[]"}


def test_what_it_says_of_tiers():
    document = json.loads(fd.explain(in_regions, 1000, tiers={REGIONS: 5}).to_json())
    server, regions, clients = document["placements"]
    assert [p["name"] for p in document["placements"]] == ["SERVER", "REGIONS", "CLIENTS"]
    assert [p["members"] for p in document["placements"]] == [1, 5, 1000]
    assert server["starts_with"] == [{"path": "target", "type": "float32@SERVER"}]
    assert clients["starts_with"] == [{"path": "shops", "type": "{<sales=float32,visits=int32>}@CLIENTS"}]
    assert [part["path"] for part in server["ends_with"]] == ["[0]", "[1]"]
    assert (server["receives"], server["sends"]) == ([4, 5, 6], [2])
    assert (regions["receives"], regions["sends"]) == ([1, 2], [3, 4, 5])
    assert (clients["receives"], clients["sends"]) == ([3], [1, 6])
    assert (regions["bytes_from_above"], regions["bytes_to_above"]) == (4, 12)
    assert document["crossings"][2] == {
        "number": 3,
        "operator": "federated_broadcast",
        "what": "value",
        "type": "float32",
        "from": "REGIONS",
        "to": "CLIENTS",
        "direction": "down",
        "each": "CLIENTS",
        "bytes_each": 4,
        "bytes_in_all": 4000,
        "travels_as": "copy",
    }
    assert [c["bytes_in_all"] for c in document["crossings"]] == [8000, 20, 4000, 20, 40, 4000]


def test_what_is_not_known_is_null():
    document = json.loads(fd.explain(in_regions, 1000).to_json())
    assert [c["bytes_in_all"] for c in document["crossings"]] == [8000, None, 4000, None, None, 4000]
    assert document["placements"][1]["members"] is None


def test_how_values_travel():
    document = json.loads(fd.explain(protected).to_json())
    assert {c["travels_as"] for c in document["crossings"]} == {
        "copy",
        "plain sum",
        "secure sum",
        "raw collection",
        "hidden",
    }
    assert document["crossings"][-1]["from"] == "PROGRAM"


@given(programs())
def test_every_program_has_all_forms(program: Program):
    explanation = fd.explain(program.computation, 3)
    document = json.loads(explanation.to_json())
    assert breaks(SCHEMA, document) == []
    assert len(document["crossings"]) == len(explanation.crossings)
    assert str(program.computation.type) in str(explanation)
    assert explanation.to_html().endswith("</html>\n")
