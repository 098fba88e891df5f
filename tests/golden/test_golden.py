# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What an earlier Foedus wrote is read as it was meant, for good. `tools/write_golden.py` wrote the files."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np

from foedus import ir, runtime, types, wire
from foedus.lang import Computation, use
from foedus.types import Sequence, Struct, Type

FOLDER = Path(__file__).parent
TOOL = FOLDER.parents[1] / "tools" / "write_golden.py"

TYPE = (
    "(<clients={<x=float32[?,3],y=str[?]>*}@CLIENTS,server=<b=bfloat16,a=complex128[2,2]>@SERVER,"
    "rest=<T,größe=placement,<>>> -> ( -> uint8[...]))"
)
NODES = (
    r'(x:{int32}@REGIONS -> <x=x,y=( -> (let a=<<text="n\u00e9":str,array=[0,1,2]:int64[3]>,<>,'
    "<true:bool>>,b=a[0] in b))()>)"
)
OPERATORS = (
    "(p1:<values={float32}@CLIENTS,threshold=float32@SERVER> -> (let v2=federated_sum(p1.values),"
    "v3=federated_broadcast(p1.threshold) in <v2,v3>))"
)


def golden(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def containers(type_: Type) -> list[type | None]:
    return [t.container for t in types.walk(type_) if isinstance(t, Struct)]


def test_a_type():
    assert str(wire.decode_type(golden("type.foedus"))) == TYPE


def test_a_value_of_every_dtype():
    numbers = [name for name in types.DTYPES if name != "str"]
    fields = {name: (name, (2, 2)) for name in numbers}
    rest = {"str": ("str", (3,)), "sequence": Sequence(types.int16), "nothing": ()}
    value = wire.decode_value(golden("value.foedus"), types.to_type({**fields, **rest}))
    for name in numbers:
        dtype = types.DTYPES[name]
        assert value[name].dtype == dtype
        assert np.array_equal(value[name], np.array([[0, 1], [2, 3]]).astype(dtype))
    assert value["str"].tolist() == ["", "né", "\ud800"]
    assert value["sequence"] == [1, 2, 3]
    assert value["nothing"] == ()


def test_a_program_of_every_node_but_leaves():
    program = wire.decode_program(golden("program_nodes.foedus"))
    assert ir.show_program(program) == NODES
    assert isinstance(program, ir.Lambda)
    placed = program.parameter_type
    assert isinstance(placed, types.Federated)
    assert placed.placement == types.tier("REGIONS", above=types.tier("CONTINENTS"))
    assert containers(program.body.type) == [dict, OrderedDict]
    thunk = next(node for node in ir.walk(program) if isinstance(node, ir.Block))
    assert containers(thunk.bindings[0][1].type) == [tuple, OrderedDict, type(None), list]


def test_a_program_of_operators():
    program = wire.decode_program(golden("program_operators.foedus"))
    assert ir.show_program(program) == OPERATORS
    with use(runtime.reference()):
        total, threshold = Computation(program, "golden")([1.0, 2.5], 7.0)
    assert total == 3.5
    assert threshold == 7


def test_a_program_with_leaves():
    """By JAX 0.10, whose exports a JAX that is half a year younger still reads."""
    data = golden("program_leaves_jax_0_10.foedus")
    count = Computation(wire.decode_program(data), "golden")
    clients = [[1.0, 2.0, 3.0], [], list(np.arange(9, dtype=np.float32))]
    for made in (runtime.reference(), runtime.local()):
        with use(made):
            assert count(clients, 2.0) == 14


def test_what_is_written_today_is_what_was_written():
    """The format can grow, but what it can say today it says in the same bytes."""
    for name in ("program_nodes.foedus", "program_operators.foedus", "program_leaves_jax_0_10.foedus"):
        program = wire.decode_program(golden(name), sender=wire.Sender.TRUSTED)
        assert wire.encode_program(program) == golden(name)
    type_ = wire.decode_type(golden("type.foedus"))
    assert wire.encode_type(type_) == golden("type.foedus")


def test_golden_files_are_never_written_again():
    before = {path: path.read_bytes() for path in FOLDER.glob("*.foedus")}
    done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("refused to write again: ")
    assert {path: path.read_bytes() for path in FOLDER.glob("*.foedus")} == before
