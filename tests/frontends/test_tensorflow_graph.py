# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow code as bytes: what travels computes the same, and does nothing but compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import foedus as fd
from foedus import types, wire
from foedus.data import Elements, Ragged
from foedus.errors import CorruptDataError, UnsupportedError
from foedus.foreign import NoJax, kind
from foedus.frontends._tensorflow_ops import ALLOWED
from foedus.ir import Foreign
from foedus.lang import Computation
from foedus.types import Function, Sequence, to_type

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow

TF = kind("tensorflow")
ROW = to_type({"x": ("float32", (2,)), "word": "str"})


def traced(fn: Callable[..., Any], spec: Any = None) -> Foreign:
    return TF.trace(fn, None if spec is None else to_type(spec))


def loaded(leaf: Foreign) -> Foreign:
    encoded = TF.encode(leaf.payload, leaf.type)
    assert encoded.kind == "tensorflow"
    found = TF.decode(encoded.data, leaf.type)
    TF.examine(found.payload, leaf.type)
    assert TF.encode(found.payload, leaf.type) == encoded
    return found


def listed(plain: Any) -> Any:
    if isinstance(plain, tuple | Elements):
        return [listed(item) for item in plain]
    return np.asarray(plain).dtype, np.asarray(plain).tolist()


def agree(fn: Callable[..., Any], spec: Any, plain: Any) -> Foreign:
    """Asserts that a leaf computes the same before and after it travelled, twice."""
    leaf = traced(fn, spec)
    found = loaded(leaf)
    for _ in range(2):
        assert listed(TF.run(leaf.payload, plain)) == listed(TF.run(found.payload, plain))
    return found


def rows(count: int) -> Elements:
    words = np.array([f"w{i}" for i in range(count)], object)
    columns = (words, np.arange(2 * count, dtype=np.float32).reshape(count, 2))
    return Elements(Ragged(ROW, columns, np.zeros(1, int), np.array([count])), 0, 0)


@pytest.mark.parametrize("name", types.DTYPES)
def test_every_dtype(name: str):
    dtype = types.DTYPES[name]
    values = np.array(["a", "é\0"], object) if name == "str" else np.arange(2).astype(dtype)
    constant = tf.constant([b"x"]) if name == "str" else tf.constant(values[:1])
    agree(lambda x: tf.concat([x, constant], 0), types.Tensor(dtype, (None,)), values)


def test_captured_variables_tables_and_large_tensors():
    variable = tf.Variable([[1.0, 2.0]], shape=tf.TensorShape((None, 2)))
    words = tf.constant(["a", "b"])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, [1, 2]), -1)
    empty = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 7)
    large = tf.random.stateless_normal((100, 2), [1, 2])

    def use(word: Any) -> Any:
        own = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, [5, 6]), -1)
        return variable + large, table.lookup(word), own.lookup(word), empty.lookup(word)

    agree(use, "str", np.array("b", object))


def test_loops_branches_and_own_variables():
    def train(data: Any, rate: Any) -> Any:
        weight = tf.Variable(tf.zeros(2))
        for row in data:
            if tf.strings.length(row["word"]) > 1:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum((weight - row["x"]) ** 2)
                weight.assign_sub(rate * tape.gradient(loss, weight))
        return weight.read_value()

    agree(train, {"data": Sequence(ROW), "rate": "float32"}, (rows(5), np.float32(0.25)))


def test_data_sets():
    def shuffled(data: Any) -> Any:
        return data.shuffle(10, seed=3).filter(lambda e: e["x"][0] > 1).batch(2), data.map(
            lambda e: e["word"]
        )

    agree(shuffled, Sequence(ROW), rows(7))


def test_a_loaded_leaf_is_lowered_like_another():
    variable = tf.Variable(3.0)
    found = agree(lambda x: x * variable, ("float32", (None,)), np.ones(2, np.float32))
    fn = TF.as_jax(found.payload)
    assert not isinstance(fn, NoJax)
    with jax.enable_x64(True):
        assert jax.jit(fn)(np.ones(2, np.float32)).tolist() == [3.0, 3.0]


def test_nothing_of_the_source_travels():
    def secretly_named(argument_with_a_name: Any) -> Any:
        return tf.identity(argument_with_a_name, name="named_operation")

    data = TF.encode(*(lambda leaf: (leaf.payload, leaf.type))(traced(secretly_named, "int32"))).data
    for word in (b"secretly", b"argument_with", b"named_operation", b".py", str(Path.home()).encode()):
        assert word not in data


def printed(x: Any) -> Any:
    tf.print(x)
    return x


FORBIDDEN: dict[str, Callable[[Any], Any]] = {
    "EagerPyFunc": lambda x: tf.py_function(lambda v: v, [x], tf.string),
    "PrintV2": printed,
    "DecodeImage": lambda x: tf.ensure_shape(tf.io.decode_image(x), (1, 1, 3)),
}


@pytest.mark.parametrize("op", FORBIDDEN)
def test_code_that_touches_the_world_does_not_travel(op: str):
    leaf = traced(FORBIDDEN[op], "str")
    with pytest.raises(UnsupportedError, match="cannot be written to bytes") as caught:
        TF.encode(leaf.payload, leaf.type)
    assert op in str(caught.value.found)
    graph = leaf.payload.portable.graph
    with pytest.raises(UnsupportedError, match="does more than compute") as caught:
        TF.decode(b"\2\0\0" + graph.SerializeToString(), leaf.type)
    assert op in str(caught.value.found)


@pytest.mark.parametrize("op", ["ReadFile", "MatchingFiles", "TextLineDataset", "Timestamp", "RandomUniform"])
def test_code_that_is_refused_when_it_is_traced_does_not_come_in_either(op: str):
    leaf = traced(tf.strings.lower, "str")

    def replace(graph: Any) -> None:
        named(graph, "StringLower").op = op

    with pytest.raises(UnsupportedError, match="does more than compute") as caught:
        TF.decode(changed(leaf, replace), leaf.type)
    assert op in str(caught.value.found)


def test_captured_data_sets_do_not_travel():
    data = tf.data.Dataset.range(3)
    leaf = traced(lambda: data.reduce(np.int64(0), lambda n, e: n + e))
    assert TF.run(leaf.payload, None) == 3
    with pytest.raises(UnsupportedError, match="cannot be written to bytes"):
        TF.encode(leaf.payload, leaf.type)


def test_what_is_forbidden_is_not_allowed_by_mistake():
    doubtful = [
        op for op in ALLOWED if any(part in op for part in ("File", "PyFunc", "Print", "Iterator", "Reader"))
    ]
    assert doubtful == []
    assert all(hasattr(tf.raw_ops, op) for op in ALLOWED)


def changed(leaf: Foreign, change: Callable[[Any], object]) -> bytes:
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(leaf.payload.portable.graph)
    change(graph)
    return b"\2\0\0" + graph.SerializeToString()


def named(graph: Any, op: str) -> Any:
    return next(node for node in graph.node if node.op == op)


def test_made_up_bytes_are_corrupt():
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1)
    leaf = traced(lambda x: table.lookup(x) + 1, "str")
    found = traced(lambda x: x + 1, "int32")
    cases = [
        (b"", leaf.type),
        (b"\2\0", leaf.type),
        (b"\1\0\xff\xff", leaf.type),
        (b"\1\0", leaf.type),
        (changed(leaf, lambda g: g.node.pop()), leaf.type),
        (
            changed(leaf, lambda g: g.node.remove(next(n for n in g.node if n.name.endswith("keys")))),
            leaf.type,
        ),
        (changed(found, lambda g: named(g, "AddV2").input.append("nowhere")), found.type),
        (changed(found, lambda g: None), Function(to_type("float32"), to_type("int32"))),
        (changed(found, lambda g: None), Function(to_type("int32"), to_type("float32"))),
        (changed(found, lambda g: None), Function(to_type("int32"), to_type(("int32", (2,))))),
    ]
    for data, type_ in cases:
        with pytest.raises(CorruptDataError):
            TF.decode(data, type_)


def test_a_variable_of_the_process_is_refused():
    def own(x: Any) -> Any:
        variable = tf.Variable(x)
        return variable.read_value()

    leaf = traced(own, "int32")
    shared = changed(leaf, lambda g: named(g, "VarHandleOp").attr["shared_name"].__setattr__("s", b"weights"))
    with pytest.raises(UnsupportedError, match="does more than compute"):
        TF.decode(shared, leaf.type)


def test_broken_constants_are_found_before_it_runs():
    leaf = traced(lambda x: x + tf.constant([1, 2, 3]), ("int32", (3,)))

    def shorten(graph: Any) -> None:
        tensor = named(graph, "Const").attr["value"].tensor
        tensor.tensor_content = tensor.tensor_content[:-1]

    data = changed(leaf, shorten)
    with pytest.raises(CorruptDataError):
        TF.examine(TF.decode(data, leaf.type).payload, leaf.type)


@pytest.mark.parametrize("sender", wire.Sender)
def test_programs_go_over_the_wire(sender: wire.Sender):
    """From a sender that is not trusted, TensorFlow reads them in a child process first."""
    scale = tf.Variable(2.0)

    @fd.tensorflow
    def longest(data: Any, bound: Any) -> Any:
        total = tf.zeros(2)
        for row in data.take(tf.cast(bound, tf.int64)):
            total += row["x"] * scale
        return {"total": total, "letters": data.reduce("", lambda s, e: s + e["word"])}

    @fd.computation(fd.at_clients(Sequence(ROW)), fd.at_server(fd.int32))
    def program(data: Any, bound: Any) -> Any:
        found = fd.federated_map(longest, (data, fd.federated_broadcast(bound)))
        return fd.federated_sum(found.total), found.letters

    data = wire.encode_program(program.node)
    assert data == wire.encode_program(program.node)
    stored = Computation(wire.decode_program(data, sender=sender), "stored")
    clients = {"a": [{"x": [1.0, 2.0], "word": "x"}, {"x": [3.0, 4.0], "word": "y"}], "b": []}
    for make in (fd.runtime.reference, fd.runtime.local):
        with fd.use(make()):
            expected, found = program(clients, 1), stored(clients, 1)
        assert found[0].tolist() == expected[0].tolist() == [2.0, 4.0]
        assert found[1] == expected[1] == ["xy", ""]
