# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of `tests/golden`: bytes that every later version of Foedus must still read.

A file that exists is never written again, for what was stored once cannot be changed either. To cover
something new, add a case here, run this, and commit the new file with its line in
`tests/golden/test_golden.py`. The file with leaves names the JAX that wrote it: it must be readable for as
long
as JAX promises, six months; then write one with a newer JAX under a new name.

    python tools/write_golden.py
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import foedus as fd
from foedus import ir, types, wire
from foedus.ir import Block, Call, Lambda, Node, Record, Reference, Selection
from foedus.types import Federated, Function, Sequence, Struct, Type

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"

BATCH = types.struct(x=types.tensor("float32", (None, 3)), y=types.tensor("str", (None,)))
TYPE = Function(
    types.struct(
        clients=types.at_clients(Sequence(BATCH)),
        server=types.at_server(types.to_type(OrderedDict(b="bfloat16", a=("complex128", (2, 2))))),
        rest=Struct(((None, types.Abstract("T")), ("größe", types.Placement()), (None, types.EMPTY))),
    ),
    Function(None, types.tensor("uint8", None)),
)


def every_dtype() -> tuple[Any, Type]:
    """A value with an array of every dtype, a sequence, and nothing."""
    numbers = {name: dtype for name, dtype in types.DTYPES.items() if name != "str"}
    value = {name: np.array([[0, 1], [2, 3]]).astype(dtype) for name, dtype in numbers.items()}
    rest = {"str": np.array(["", "né", "\ud800"], dtype=object), "sequence": [1, 2, 3], "nothing": ()}
    fields = {name: (dtype, (2, 2)) for name, dtype in numbers.items()}
    rest_types = {"str": ("str", (3,)), "sequence": Sequence(types.int16), "nothing": ()}
    return {**value, **rest}, types.to_type({**fields, **rest_types})


def every_node() -> Node:
    """A program without leaves that has every other node, a tier, and every container."""
    region = types.tier("REGIONS", above=types.tier("CONTINENTS"))
    placed = Federated(types.int32, region, all_equal=False)
    constants = Record((("text", ir.constant("né")), ("array", ir.constant(np.arange(3)))), OrderedDict)
    parts = Record(((None, constants), (None, ir.constant(None)), (None, ir.constant([True]))), tuple)
    block = Block(
        (("a", parts), ("b", Selection(Reference("a", parts.type), 0))), Reference("b", constants.type)
    )
    thunk = Call(Lambda(None, None, block), None)
    return Lambda("x", placed, Record((("x", Reference("x", placed)), ("y", thunk)), dict))


@fd.computation(fd.at_clients(fd.float32), fd.at_server(fd.float32))
def only_operators(values: Any, threshold: Any) -> Any:
    return fd.federated_sum(values), fd.federated_broadcast(threshold)


@fd.computation(fd.at_clients(Sequence(fd.float32)), fd.at_server(fd.float32))
def with_leaves(data: Any, threshold: Any) -> Any:
    """Two leaves: one over a sequence in batches, one over numbers."""

    def above(data: Any, threshold: Any) -> Any:
        def step(count: Any, batch: Any, mask: Any) -> Any:
            return count + jnp.sum(jnp.where(mask, batch > threshold, False)).astype("int32")

        return data.batch(4).fold_padded(step, jnp.int32(0))

    counts = fd.federated_map(above, (data, fd.federated_broadcast(threshold)))
    return fd.federated_apply(lambda total: total * 2, fd.federated_sum(counts))


CASES: dict[str, Callable[[], bytes]] = {
    "type.foedus": lambda: wire.encode_type(TYPE),
    "value.foedus": lambda: wire.encode_value(*every_dtype()),
    "program_nodes.foedus": lambda: wire.encode_program(every_node()),
    "program_operators.foedus": lambda: wire.encode_program(only_operators.node),
    "program_leaves_jax_0_10.foedus": lambda: wire.encode_program(with_leaves.node),
}


def main() -> int:
    """Writes the files that are missing."""
    FOLDER.mkdir(exist_ok=True)
    kept = [name for name in CASES if (FOLDER / name).exists()]
    for name, encode in CASES.items():
        if name not in kept:
            data = encode()
            with open(FOLDER / name, "xb") as file:
                file.write(data)
            print(f"wrote {name}, {len(data)} bytes")
    if kept:
        print(f"refused to write again: {', '.join(kept)}", file=sys.stderr)
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
