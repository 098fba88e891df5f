# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow code as leaves: what goes in, what comes out, what is traced and what is refused."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import foedus as fd
from foedus import types
from foedus.data import Batch, Elements, Map, Ragged, Repeat, Shuffle, Take, cohort_of
from foedus.errors import ClientError, ExecutionError, TracingError
from foedus.foreign import kind
from foedus.ir import Foreign
from foedus.types import Sequence, Type, to_type

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow

TF = kind("tensorflow")
ROW = to_type({"x": ("float32", (2,)), "word": "str"})


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Pair:
    second: Any
    first: Any


def traced(fn: Callable[..., Any], spec: Any = None) -> Foreign:
    return TF.trace(fn, None if spec is None else to_type(spec))


def result(fn: Callable[..., Any], spec: Any = None, plain: Any = None) -> Any:
    leaf = traced(fn, spec)
    return TF.run(leaf.payload, plain)


def called(fn: Callable[..., Any], spec: Any, value: Any) -> Any:
    """The result of TensorFlow code as a computation, as the user sees it."""
    with fd.use(fd.runtime.reference()):
        return fd.computation(to_type(spec))(fd.tensorflow(fn))(value)


def one_client(element: Type, value: Any, *transforms: Any) -> Elements:
    cohort = cohort_of([value], Sequence(element))
    ragged = cohort.value
    return Elements(
        Ragged(ragged.element, ragged.columns, ragged.first, ragged.count, ragged.rows, transforms), 0, 0
    )


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("name", types.DTYPES)
def test_every_dtype_goes_in_and_comes_out(name: str):
    dtype = types.DTYPES[name]
    given = np.array(["a", "é\0"], object) if name == "str" else np.arange(2).astype(dtype)
    found, scalar = result(lambda x: (tf.reverse(x, [0]), x[0]), types.Tensor(dtype, (2,)), given)
    assert found.tolist() == given[::-1].tolist()
    assert scalar.shape == ()
    if name != "str":
        assert found.dtype == dtype


def test_pythons_numbers_have_the_dtypes_of_the_language():
    leaf = traced(lambda: (1, 2**40, 0.5, True, "a", np.float64(1), np.arange(2), None))
    assert str(leaf.type.result) == "<int32,int64,float32,bool,str,float64,int64[2],<>>"
    assert TF.run(leaf.payload, None)[1] == 2**40


def test_containers_come_back_as_what_went_in():
    spec = {
        "a": Point(x=fd.int32, y=(fd.float32, [fd.bool_, fd.string])),
        "b": OrderedDict(z=fd.int8, a=fd.int8),
    }
    value = {"a": Point(1, (2.0, [True, "x"])), "b": OrderedDict(z=3, a=4)}
    seen: list[Any] = []

    def same(v: Any) -> Any:
        seen.append(v)
        return v

    found = called(same, spec, value)
    assert found == value
    assert type(found["a"]) is Point
    assert type(found["a"].y[1]) is list
    assert type(seen[-1]["a"]) is Point
    assert list(found["b"]) == ["z", "a"]


def test_dataclasses_go_in_and_come_out():
    spec = types.Struct((("second", fd.int32), ("first", fd.int32)), Pair)
    assert called(lambda p: Pair(second=p.first, first=p.second), spec, Pair(1, 2)) == Pair(2, 1)


def test_fields_are_spread_over_parameters():
    assert result(lambda a, b: a - b, {"a": "int32", "b": "int32"}, (np.int32(5), np.int32(3))) == 2


def test_unknown_dimensions_and_ranks():
    leaf = traced(lambda x: (x * 2, tf.shape(x)), ("float32", (None, 3)))
    assert str(leaf.type) == "(float32[?,3] -> <float32[?,3],int32[2]>)"
    assert TF.run(leaf.payload, np.ones((5, 3), np.float32))[1].tolist() == [5, 3]
    leaf = traced(lambda x: (tf.size(x), x + 1), types.Tensor(np.dtype("int64"), None))
    assert str(leaf.type) == "(int64[...] -> <int32,int64[...]>)"
    for shape in ((), (2, 3)):
        assert TF.run(leaf.payload, np.zeros(shape, np.int64))[1].shape == shape


def test_nothing_goes_in_and_nothing_comes_out():
    assert result(lambda: None) == ()
    assert result(lambda x: tf.constant(3), types.EMPTY, ()) == 3


# ---------------------------------------------------------------- sequences


def test_a_sequence_is_a_data_set_of_the_right_elements():
    specs: list[Any] = []

    def fold(rows: Any) -> Any:
        specs.append(rows.element_spec)
        return rows.reduce((tf.zeros(2), ""), lambda c, e: (c[0] + e["x"], c[1] + e["word"]))

    rows = [{"x": [i, 1.0], "word": "ab"[i]} for i in range(2)]
    total, words = result(fold, Sequence(ROW), one_client(ROW, rows))
    assert (total.tolist(), words) == ([1.0, 2.0], "ab")
    assert specs == [{"word": tf.TensorSpec((), tf.string), "x": tf.TensorSpec((2,), tf.float32)}]


@pytest.mark.parametrize("container", [dict, OrderedDict, tuple, list, Point, Pair])
def test_elements_in_every_container(container: Any):
    """Those that data sets do not know, lists and dataclasses, arrive as tuples and ``OrderedDict``."""
    names = ("second", "first") if container is Pair else ("x", "y")
    fields = tuple((None if container in (tuple, list) else name, to_type("int32")) for name in names)
    element = types.Struct(fields, container)
    seen: list[Any] = []

    def first(rows: Any) -> Any:
        seen.append(rows.element_spec)
        return rows, rows.reduce(0, lambda n, e: n + (e[0] if isinstance(e, tuple) else e[names[0]]))

    leaf = traced(first, Sequence(element))
    assert types.show(leaf.type.result) == f"<{types.show(Sequence(element))},int32>"
    columns = np.arange(3, dtype=np.int32), np.arange(3, 6, dtype=np.int32)
    found, total = TF.run(
        leaf.payload, Elements(Ragged(element, columns, np.zeros(1, int), np.array([3])), 0, 0)
    )
    assert total == 3
    assert [tuple(map(int, item)) for item in found] == [(0, 3), (1, 4), (2, 5)]
    assert type(seen[0]) is {list: tuple, Pair: OrderedDict}.get(container, container)


def test_elements_without_tensors_are_refused():
    with pytest.raises(TracingError, match="no data sets of elements without a tensor"):
        traced(lambda s: s.reduce(0, lambda n, _: n + 1), Sequence(types.EMPTY))


def test_batches_that_arrive_ready_made_keep_their_sizes():
    element = to_type({"x": ("float32", (None, 2))})
    batches = [{"x": np.ones((n, 2), np.float32)} for n in (3, 1, 0, 2)]

    def sizes(data: Any) -> Any:
        assert data.element_spec["x"].shape.as_list() == [None, 2]
        return data.reduce("", lambda s, b: s + tf.strings.as_string(tf.shape(b["x"])[0]))

    assert result(sizes, Sequence(element), one_client(element, batches)) == "3102"


def test_contiguous_rows_become_no_python_objects(monkeypatch: pytest.MonkeyPatch):
    """Neither stored rows nor those that declared transforms choose; batches are cut by offset."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("read one by one")

    monkeypatch.setattr(Elements, "_stored", refuse)
    element = to_type("int32")

    def listed(data: Any) -> Any:
        return data.reduce(
            "", lambda s, e: s + tf.strings.join(["|", tf.strings.reduce_join(tf.strings.as_string(e))])
        )

    plain = one_client(element, np.arange(5, dtype=np.int32))
    assert result(listed, Sequence(element), plain) == "|0|1|2|3|4"
    batched = to_type(("int32", (None,)))
    assert (
        result(listed, Sequence(batched), one_client(element, np.arange(5, dtype=np.int32), Batch(2)))
        == "|01|23|4"
    )


ORDERS = [
    (Take(3),),
    (Repeat(2), Take(7)),
    (Shuffle(1), Repeat(3)),
    (Shuffle(1), Repeat(2), Shuffle(5), Repeat(2), Take(17)),
    (Shuffle(2), Batch(2)),
    (Repeat(2), Batch(3)),
    (Batch(2), Take(1)),
    (Batch(2), Repeat(2)),
]


@pytest.mark.parametrize("transforms", ORDERS, ids=str)
def test_declared_transforms_mean_what_they_mean_elsewhere(transforms: tuple[Any, ...]):
    plain = one_client(to_type("int32"), np.arange(5, dtype=np.int32), *transforms)
    (found,) = result(lambda s: (s,), Sequence(plain.ragged.transformed), plain)
    assert [item.tolist() for item in found] == [item.tolist() for item in plain]


def test_a_declared_map_of_tensorflow_code():
    double = traced(lambda x: tf.strings.as_string(x * 2), "int32")
    plain = one_client(to_type("int32"), np.arange(3, dtype=np.int32), Map(double))
    (found,) = result(lambda s: (s,), Sequence(types.to_type("str")), plain)
    assert [str(item) for item in found] == ["0", "2", "4"]


def test_data_sets_come_back_as_sequences():
    leaf = traced(lambda s: (s.batch(2), s.batch(2, drop_remainder=True)), Sequence(ROW))
    assert str(leaf.type.result) == "<<word=str[?],x=float32[?,2]>*,<word=str[2],x=float32[2,2]>*>"
    rows = [{"x": [i, i], "word": str(i)} for i in range(5)]
    ragged, even = TF.run(leaf.payload, one_client(ROW, rows))
    assert [words.tolist() for words, _ in ragged] == [["0", "1"], ["2", "3"], ["4"]]
    assert [words.tolist() for words, _ in even] == [["0", "1"], ["2", "3"]]


BATCH = to_type({"x": ("int32", (None,)), "n": "int32", "word": "str", "two": ("int32", (2,))})
"""Elements of which some tensors have rows and others have not."""


def batches(*numbers: int) -> list[Any]:
    return [
        {"x": np.arange(n, dtype=np.int32), "n": 10 * n, "word": "abcd"[n], "two": [n, -n]} for n in numbers
    ]


def test_a_sequence_of_batches_with_numbers_is_a_data_set_of_them():
    specs: list[Any] = []

    def fold(data: Any) -> Any:
        specs.append(data.element_spec)
        sizes = tf.zeros((0,), tf.int32)
        for e in data:
            tf.autograph.experimental.set_loop_options(shape_invariants=[(sizes, tf.TensorShape([None]))])
            sizes = tf.concat([sizes, tf.shape(e["x"]), [tf.reduce_sum(e["x"]), e["n"]], e["two"]], 0)
        return sizes, data.reduce("", lambda s, e: s + e["word"])

    expected = [2, 1, 20, 2, -2, 0, 0, 0, 0, 0, 3, 3, 30, 3, -3]
    stored = one_client(BATCH, batches(2, 0, 3))
    for transforms, times, word in [((), 1, "cad"), ((Repeat(2),), 2, "cadcad"), ((Take(1),), 1 / 3, "c")]:
        plain = one_client(BATCH, batches(2, 0, 3), *transforms)
        found, words = result(fold, Sequence(BATCH), plain)
        assert found.tolist() == (expected * 2)[: int(15 * times)]
        assert words == word
    assert specs[0] == {
        "x": tf.TensorSpec((None,), tf.int32),
        "n": tf.TensorSpec((), tf.int32),
        "word": tf.TensorSpec((), tf.string),
        "two": tf.TensorSpec((2,), tf.int32),
    }
    assert result(fold, Sequence(BATCH), list(stored))[0].tolist() == expected
    assert result(fold, Sequence(BATCH), one_client(BATCH, []))[0].tolist() == []


def test_data_sets_of_batches_with_numbers_come_back_as_sequences():
    def work(data: Any) -> Any:
        counted = data.batch(2).map(lambda x: (x, tf.shape(x)[0]))
        return counted, counted.filter(lambda x, n: n > 2)

    leaf = traced(work, Sequence(fd.int32))
    assert str(leaf.type.result) == "<<int32[?],int32>*,<int32[?],int32>*>"
    found, none = TF.run(leaf.payload, one_client(to_type("int32"), np.arange(5, dtype=np.int32)))
    assert [(x.tolist(), int(n)) for x, n in found] == [([0, 1], 2), ([2, 3], 2), ([4], 1)]
    assert list(none) == []


def test_elements_of_a_known_length_are_given_where_any_length_will_do():
    known = one_client(to_type((("int32", (2,)), "int32")), [([1, 2], 3), ([4, 5], 6)])
    leaf = traced(
        lambda s: s.reduce(0, lambda c, e: 10 * c + tf.reduce_sum(e[0]) * e[1]),
        Sequence(to_type((("int32", (None,)), "int32"))),
    )
    assert TF.run(leaf.payload, known) == 10 * 9 + 54


def test_data_sets_that_no_sequence_is():
    with pytest.raises(TracingError, match="elements that no sequence has") as caught:
        traced(lambda s: s.map(lambda x: (x, tf.range(x)[None, :])), Sequence(fd.int32))
    assert "tf.ensure_shape" in str(caught.value)
    assert "of each of which nothing but the first dimension is unknown" in str(caught.value)
    endless = traced(lambda s: s.repeat(), Sequence(fd.int32))
    with pytest.raises(ExecutionError, match="without end"):
        TF.run(endless.payload, one_client(to_type("int32"), [1]))


# ---------------------------------------------------------------- arrays and data sets as values


def test_tensors_are_arrays():
    assert types.type_of(tf.zeros((2, 3), tf.bfloat16)) == types.tensor("bfloat16", (2, 3))
    assert types.type_of(tf.constant(["a"])) == types.tensor(fd.string, (1,))
    assert to_type(tf.TensorSpec((None, 2), tf.int64)) == types.tensor("int64", (None, 2))
    assert to_type(tf.TensorSpec(None, tf.string)) == types.Tensor(types.STRING, None)
    assert to_type(tf.uint8) == fd.uint8
    assert to_type({"a": tf.bool, "b": (tf.float16, (2,))}) == to_type({"a": "bool", "b": ("float16", (2,))})
    with pytest.raises(fd.errors.DataError):
        to_type(tf.variant)


def test_data_sets_are_sequences():
    data = tf.data.Dataset.from_tensor_slices({"b": [1, 2], "a": ["x", "y"]})
    assert to_type(data) == types.type_of(data) == Sequence(to_type({"a": "str", "b": "int32"}))
    assert str(to_type(data.batch(2))) == "<a=str[?],b=int32[?]>*"
    assert to_type(tf.data.DatasetSpec(tf.TensorSpec((), tf.int32))) == Sequence(fd.int32)


def test_tensors_and_data_sets_as_arguments_and_results():
    @fd.computation
    def scaled(x: Any, factor: Any) -> Any:
        return fd.federated_sum(fd.federated_map(lambda x, f: x * f, (x, fd.federated_broadcast(factor))))

    program = scaled.at_type(
        types.Struct((("x", fd.at_clients(fd.float32)), ("factor", fd.at_server(fd.float32))))
    )
    assert program([tf.constant(1.0), 2.0], tf.constant(3.0)) == 9.0

    @fd.computation(fd.at_clients(Sequence(to_type({"x": "int32"}))))
    def total(data: Any) -> Any:
        return fd.federated_sum(
            fd.federated_map(lambda s: s.fold(lambda n, e: n + e["x"], np.int32(0)), data)
        )

    clients = [tf.data.Dataset.range(n).map(lambda i: {"x": tf.cast(i, tf.int32)}) for n in (3, 0, 5000)]
    assert total(clients) == 3 + sum(range(5000))
    with pytest.raises(fd.errors.TypeMismatchError):
        total([tf.data.Dataset.range(3).map(lambda i: {"x": i})])


# ---------------------------------------------------------------- tracing


def test_a_leaf_is_traced_once_however_many_clients_run_it():
    traces: list[int] = []

    @fd.tensorflow
    def summed(data: Any) -> Any:
        traces.append(1)
        return data.reduce(np.int64(0), lambda n, e: n + e)

    @fd.computation(fd.at_clients(Sequence(fd.int64)))
    def program(data: Any) -> Any:
        return fd.federated_sum(fd.federated_map(summed, data))

    assert len(traces) == 1
    for make in (fd.runtime.reference, fd.runtime.local):
        with fd.use(make()):
            for round_ in range(3):
                cohort = [np.arange(n, dtype=np.int64) for n in range(round_, round_ + 20)]
                assert program(cohort) == sum(int(c.sum()) for c in cohort)
    assert len(traces) == 1


def test_equal_code_has_equal_digests():
    def loop(x: Any) -> Any:
        total = tf.constant(0)
        for i in tf.range(x):
            if i % 2 == 0:
                total += i
        return total

    def other(data: Any) -> Any:
        return data.map(lambda x: x + 1).filter(lambda x: x > 2).reduce(0, lambda n, e: n + e)

    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), 0)
    assert traced(loop, "int32").digest == traced(loop, "int32").digest
    assert traced(other, Sequence(fd.int32)).digest == traced(other, Sequence(fd.int32)).digest
    assert traced(table.lookup, "str").digest == traced(table.lookup, "str").digest
    assert traced(lambda x: x + 1, "int32").digest != traced(lambda x: x + 2, "int32").digest
    one, two = tf.constant(np.zeros(1000)), tf.constant(np.ones(1000))
    assert traced(lambda: one).digest != traced(lambda: two).digest


def test_autograph_and_functions_of_tensorflow():
    @tf.function
    def power(x: Any) -> Any:
        while x < 100:
            x *= 2
        return x

    assert result(power, "int32", np.int32(3)) == 192
    assert result(lambda x: power(x) + 1, "int32", np.int32(3)) == 193


# ---------------------------------------------------------------- captured things


def test_captured_tensors_and_variables_are_frozen():
    array, variable, constant = np.ones(2, np.float32), tf.Variable([1.0, 2.0]), tf.constant([10.0, 20.0])
    leaf = traced(lambda x: x * variable + constant + array, ("float32", (2,)))
    array[:], _ = 5, variable.assign([100.0, 100.0])
    for _ in range(2):
        assert TF.run(leaf.payload, np.ones(2, np.float32)).tolist() == [12.0, 23.0]


def test_a_large_captured_tensor_is_warned_about():
    large = tf.zeros((2**23 + 1,))
    with pytest.warns(fd.errors.LargeConstantWarning, match="captured arrays of 32 MiB"):
        traced(lambda: tf.reduce_sum(large))


def test_a_captured_variable_that_is_changed_is_refused(refused: Any):
    counter = tf.Variable(0, name="counter")

    def count(x: Any) -> Any:
        for _ in tf.range(x):
            counter.assign_add(1)
        return counter.read_value()

    with refused(
        TracingError,
        """
        The TensorFlow code 'count' changes the variable 'counter:0', which it captures
          found     AssignAddVariableOp on a state outside of the function
          expected  a pure function: the same for every client, whoever came before
          at        HERE
          hint      make it inside the function, where it is new in every call, or make it an argument
        """,
    ):
        traced(count, "int32")
    assert counter.numpy() == 0


def test_a_captured_variable_may_be_read_beside_one_that_is_changed():
    captured = tf.Variable(2.0)

    def work(x: Any) -> Any:
        own = tf.Variable(0.0)
        for _ in tf.range(3):
            if x > 0:
                own.assign_add(captured)
        return own.read_value()

    assert result(work, "float32", np.float32(1)) == 6


OTHER_STATE = ["table", "iterator", "in a data set", "in a branch", "in a function", "queue"]


@pytest.mark.parametrize("how", OTHER_STATE)
def test_other_captured_state_is_refused(how: str):
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
    iterator = iter(tf.data.Dataset.range(3))
    variable = tf.Variable(0)

    def insert(x: Any) -> Any:
        table.insert(x, tf.constant(1, tf.int64))
        return table.lookup(x)

    queue = tf.queue.FIFOQueue(3, [tf.int32])
    counted = tf.function(lambda: variable.assign_add(1))

    functions: dict[str, Callable[[Any], Any]] = {
        "in a branch": lambda x: tf.cond(x == "a", lambda: variable.assign_add(1), lambda: variable),
        "in a function": lambda _: counted(),
        "queue": lambda _: queue.size(),
        "table": insert,
        "iterator": lambda _: next(iterator),
        "in a data set": lambda _: tf.data.Dataset.range(3).map(lambda _: variable.assign_add(1)),
    }
    with pytest.raises(TracingError, match="capture"):
        traced(functions[how], "str")


def test_variables_made_inside_are_new_in_every_call():
    def train(data: Any) -> Any:
        frozen = tf.Variable(2.0)
        weight = tf.Variable(tf.zeros(()), name="weight")
        for x in data:
            with tf.GradientTape() as tape:
                loss = (weight - frozen * x) ** 2
            weight.assign_sub(0.25 * tape.gradient(loss, weight))
        return weight.read_value()

    leaf = traced(train, Sequence(fd.float32))
    for _ in range(2):
        assert TF.run(leaf.payload, one_client(fd.float32, np.ones(2, np.float32))) == 1.5


def test_lookup_tables_captured_and_made_inside():
    words = tf.constant(["a", "b"])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, [1, 2]), -1)

    def inside(x: Any) -> Any:
        own = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(words, np.arange(2, dtype=np.int64)), 1
        )
        return table.lookup(x), own.lookup(x)

    leaf = traced(inside, ("str", (3,)))
    for _ in range(2):
        found = TF.run(leaf.payload, np.array(["b", "?", "a"], object))
        assert [array.tolist() for array in found] == [[2, -1, 1], [1, 2, 0]]


def test_keys_become_seeds():
    def draw(key: Any) -> Any:
        return tf.random.stateless_uniform((3,), tf.bitcast(key, tf.int32))

    key = np.array([2**32 - 1, 7], np.uint32)
    expected = tf.random.stateless_uniform((3,), [-1, 7]).numpy()
    assert result(draw, types.KEY, key).tolist() == expected.tolist()


# ---------------------------------------------------------------- errors


def test_an_error_while_tracing_names_the_line(refused: Any):
    def square(x: Any) -> Any:
        return tf.matmul(x, x)

    with pytest.raises(TracingError) as caught:
        traced(square, ("float32", (3,)))
    assert "TensorFlow cannot trace 'square'" in str(caught.value)
    assert "Shape must be rank 2 but is rank 1" in str(caught.value.found)
    assert str(caught.value.at).endswith("return tf.matmul(x, x)")


def test_an_error_while_it_runs_names_the_client_and_the_line():
    @fd.tensorflow
    def pick(words: Any) -> Any:
        first = words[0]
        return tf.gather([1, 2], tf.strings.to_number(first, tf.int32))

    @fd.computation(fd.at_clients(("str", (1,))))
    def program(words: Any) -> Any:
        return fd.federated_map(pick, words)

    for make in (fd.runtime.reference, fd.runtime.local):
        with fd.use(make()), pytest.raises(ClientError) as caught:
            program({"ann": ["1"], "bob": ["5"]})
        assert "'bob'" in caught.value.headline
        assert caught.value.found == "InvalidArgumentError: indices = 5 is not in [0, 2)"
        assert str(caught.value.at).endswith(
            "return tf.gather([1, 2], tf.strings.to_number(first, tf.int32))"
        )


@pytest.mark.parametrize(
    ("fn", "what"),
    [
        (lambda: object(), "object"),
        (lambda: tf.ragged.constant([[1], []]), "RaggedTensor"),
        (lambda: {"a": tf.sparse.from_dense([1])}, ".a of the result"),
        (lambda: tf.bitcast(tf.constant(1, tf.int8), tf.qint8), "qint8"),
    ],
)
def test_results_without_a_type_are_refused(fn: Any, what: str):
    with pytest.raises(TracingError, match="TensorFlow returns what has no type in the language") as caught:
        traced(fn)
    assert what in str(caught.value)


# ---------------------------------------------------------------- how it is marked


def test_marked_functions_are_called_everywhere():
    @fd.tensorflow
    def double(x: Any) -> Any:
        return x * 2

    @fd.tensorflow
    def quadruple(x: Any) -> Any:
        return double(double(x))

    @fd.computation(fd.at_clients(fd.int32))
    def program(x: Any) -> Any:
        return fd.federated_map(quadruple, x), fd.federated_map(lambda v: double(v), x)

    assert program([1, 2]) == ([4, 8], [2, 4])
    assert quadruple(3) == 12
    assert double.__name__ == "double"
    assert repr(double) == "<TensorFlow function double>"
    kinds = {str(line).split("#")[0].split()[-1] for line in str(program).splitlines() if "#" in line}
    assert any("tensorflow" in k for k in kinds)


def test_a_marked_function_is_a_computation():
    @fd.computation(fd.int32, fd.int32)
    @fd.tensorflow
    def minus(a: Any, b: Any) -> Any:
        return a - b

    assert str(minus.type) == "(<a=int32,b=int32> -> int32)"
    assert minus(5, 3) == 2

    @fd.computation
    @fd.tensorflow
    def any_type(x: Any) -> Any:
        return x + x

    assert any_type(2) == 4
    assert any_type("a") == "aa"


def test_it_takes_plain_values_only():
    with pytest.raises(TracingError, match="plain values only"):
        traced(lambda x: x, fd.at_clients(fd.int32))


def test_explanations_list_it_as_what_it_is():
    @fd.computation(fd.at_clients(fd.int32))
    def program(x: Any) -> Any:
        return fd.federated_sum(fd.federated_map(fd.tensorflow(lambda v: v * 3), x))

    assert "at CLIENTS: 1 function of the kind tensorflow" in str(fd.explain(program))


def test_operators_do_not_belong_into_it():
    @fd.tensorflow
    def mixed(x: Any) -> Any:
        return fd.federated_sum(x)

    with pytest.raises(TracingError, match="'mixed' uses the language"):
        fd.computation(fd.int32)(mixed)
