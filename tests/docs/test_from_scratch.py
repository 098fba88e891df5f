# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""``docs/foedus_from_scratch.py`` is short, runs, and means what Foedus means, on its programs and others."""

import ast
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import foedus as fd
from foedus.types import KEY, Federated, Struct, Tensor

PAGE = Path(__file__).parents[2] / "docs" / "foedus_from_scratch.py"
MOST_LINES = 500


def load():
    spec = importlib.util.spec_from_file_location("foedus_from_scratch", PAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


small = load()


# ---------------------------------------------------------------- programs, written in both languages


def small_type(type_):
    """A type of Foedus in the small language."""
    match type_:
        case Tensor(dtype, shape):
            return small.Tensor(dtype.name, shape)
        case Struct(fields):
            return small.Struct({k if n is None else n: small_type(t) for k, (n, t) in enumerate(fields)})
        case Federated(member, placement, all_equal):
            return small.Placed(small_type(member), str(placement), all_equal)
        case _:
            raise AssertionError(type_)


@dataclass(frozen=True)
class Pair:
    """A program in both languages.

    Args:
        name: What it is called.
        small: In the small language.
        full: In Foedus.
        data: Makes its arguments, given the clients' ids and a generator.
        exact: Whether floating point numbers are equal to the last bit.
    """

    name: str
    small: object
    full: object
    data: object
    exact: bool = True


PAIRS = []


def example(name, *types, data, exact=True):
    """Pairs one of the page's own examples with the same program in Foedus."""

    def add(body):
        PAIRS.append(Pair(name, getattr(small, name), fd.computation(*types)(body), data, exact))
        return body

    return add


def in_both(*types, data, exact=True):
    """Makes programs of a body that is given the language whose operators it is to use."""

    def add(body):
        ours = small.computation(*map(small_type, types))(partial(body, small))
        PAIRS.append(Pair(body.__name__, ours, fd.computation(*types)(partial(body, fd)), data, exact))
        return body

    return add


def reals(ids, rng):
    """One number a client, of magnitudes so different that every other order or grouping gives other bits."""
    return {i: np.float32(rng.normal() * 10.0 ** rng.integers(-3, 4)) for i in ids}


def whole(dtype):
    limits = np.iinfo(dtype)
    return lambda ids, rng: {i: rng.integers(limits.min, limits.max, dtype=dtype) for i in ids}


@fd.computation(fd.at_clients(fd.float32))
def average(readings):
    return fd.federated_mean(readings)


PAIRS.append(Pair("average", small.average, average, lambda ids, rng: (reals(ids, rng),)))


@example("variance", fd.at_clients(fd.float32), data=lambda ids, rng: (reals(ids, rng),))
def variance(readings):
    middle = fd.federated_broadcast(average(readings))
    squares = fd.federated_map(lambda r, m: (r - m) ** 2, (readings, middle))
    return {"mean": average(readings), "variance": average(squares)}


@example("fading", fd.at_clients(fd.float32), data=lambda ids, rng: (reals(ids, rng),))
def fading(readings):
    return fd.federated_aggregate(
        readings, 0.0, lambda a, r: (a + r) / 2, lambda a, b: (a + b) / 2, lambda a: a
    )


@example(
    "share_of_yes",
    fd.at_clients(fd.bool_),
    fd.at_server(KEY),
    data=lambda ids, rng: (
        {i: rng.random() < 0.5 for i in ids},
        rng.integers(2**32, size=2, dtype=np.uint32),
    ),
)
def share_of_yes(answers, key):
    told = fd.federated_map(lambda yes, k: yes ^ (k[0] % 4 == 0), (answers, fd.federated_key(key, "lie")))
    share = fd.federated_mean(fd.federated_map(lambda yes: yes.astype("float32"), told))
    return fd.federated_apply(lambda share: 2 * share - 0.5, share)


TRUTH = np.array([1, -2, 3], np.float32)


def unequal_examples(ids, rng):
    """A model, and for each client examples of a linear function: from one example to thirty."""
    sizes = {i: (30, 1, 11, 2)[k % 4] for k, i in enumerate(ids)}
    x = {i: rng.normal(size=(size, 3)).astype(np.float32) for i, size in sizes.items()}
    return rng.normal(size=3).astype(np.float32), x, {i: x[i] @ TRUTH for i in x}


@example(
    "fed_avg_round",
    fd.at_server(fd.types.tensor("float32", (3,))),
    fd.at_clients(fd.types.tensor("float32", (None, 3))),
    fd.at_clients(fd.types.tensor("float32", (None,))),
    data=unequal_examples,
    exact=False,  # inside one client's code, NumPy and XLA add up in other orders (rule N4)
)
def fed_avg_round(model, x, y):
    trained = fd.federated_map(small.train, (fd.federated_broadcast(model), x, y))
    return fd.federated_apply(lambda total, examples: total / examples, fd.federated_sum(trained))


@in_both(
    fd.at_clients(fd.float32),
    fd.at_server(fd.float32),
    data=lambda ids, rng: (reals(ids, rng), np.float32(0)),
)
def share_above(op, readings, threshold):
    """The example that the README begins with."""
    over = op.federated_map(
        lambda r, t: (r > t).astype("float32"), (readings, op.federated_broadcast(threshold))
    )
    return op.federated_mean(over)


@in_both(
    fd.at_server(KEY),
    fd.at_clients(fd.int32),
    data=lambda ids, rng: (np.array([3, 2**32 - 1], np.uint32), whole("int32")(ids, rng)),
)
def keys(op, key, numbers):
    """Keys for two purposes, as they are and in use."""
    one, other = op.federated_key(key, "one"), op.federated_key(key, "another")
    return one, other, op.federated_map(lambda k, n: k[1] ^ n.astype("uint32"), (one, numbers))


@in_both(
    fd.at_clients(fd.types.struct(a=fd.types.tensor("int8", (2, 3)), b=fd.uint64)),
    data=lambda ids, rng: (
        {
            i: {"a": rng.integers(-128, 128, (2, 3), np.int8), "b": rng.integers(2**64, dtype="uint64")}
            for i in ids
        },
    ),
)
def overflow(op, numbers):
    """Structs, constants, and sums that wrap around."""
    step = op.federated_value(np.int8(100), op.CLIENTS)
    moved = op.federated_map(
        lambda n, s: {"a": n["a"] + s, "b": n["b"] * n["b"]}, op.federated_zip((numbers, step))
    )
    total = op.federated_sum(moved)
    both = op.federated_zip({"base": op.federated_value(np.uint64(7), op.SERVER), "total": total})
    return op.federated_apply(lambda z: {"a": z["total"]["a"] * 3, "b": z["total"]["b"] + z["base"]}, both)


@in_both(fd.at_clients(fd.uint8), data=lambda ids, rng: (whole("uint8")(ids, rng),))
def rolling_hash(op, letters):
    """A fold whose state is of another type than what is folded, and which does not commute."""
    return op.federated_aggregate(
        letters,
        {"power": np.uint64(1), "text": np.uint64(0)},
        lambda h, v: {"power": h["power"] * 1_000_003, "text": h["text"] * 1_000_003 + v},
        lambda a, b: {"power": a["power"] * b["power"], "text": a["text"] * b["power"] + b["text"]},
        lambda h: {"hash": h["text"], "odd": h["text"] % 2 == 1},
    )


@in_both(
    fd.at_clients(fd.types.tensor("float32", (None,))),
    data=lambda ids, rng: ({i: rng.normal(size=k % 4).astype(np.float32) for k, i in enumerate(ids)},),
)
def raw(op, rows):
    """Values of which the type leaves the length open, and so the bytes."""
    return op.federated_aggregate(
        op.federated_map(lambda r: r * 2, rows),
        np.int32(0),
        lambda n, r: n + np.int32(r.shape[0]),
        lambda n, m: n + m,
        lambda n: n,
    )


# ---------------------------------------------------------------- what both give


def clients(count):
    """Ids whose order is neither that in which they are given nor the reverse."""
    return [f"client {37 * i % 101}" for i in range(count)]


def unpacked(value, ids):
    """A result of either language as nested lists of arrays: fields in order, clients in the order given."""
    if isinstance(value, small.Struct):
        return [unpacked(part, ids) for part in value.values()]
    if isinstance(value, dict) and set(value) == set(ids):
        return [unpacked(value[i], ids) for i in ids]
    if isinstance(value, dict | list | tuple):
        return [unpacked(part, ids) for part in (value.values() if isinstance(value, dict) else value)]
    return np.asarray(value)


def assert_same(found, expected, *, exact):
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, exact=exact)
        return
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if exact or expected.dtype.kind != "f":
        assert found.tobytes() == expected.tobytes(), f"{found} is not {expected}"
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # the bound of rule N4


def rows_of(crossings):
    """Crossings of either language in one form."""
    names = ("origin", "destination", "operator", "what", "type")
    return [
        (
            *(str(getattr(c, name)) for name in names),
            c.bytes if isinstance(c, small.Crossing) else c.bytes_per_client,
            c.protection if isinstance(c.protection, str) else c.protection.value,
        )
        for c in crossings
    ]


def run_full(pair, arguments):
    reference = fd.runtime.reference()
    with fd.use(reference):
        return pair.full(*arguments), reference.crossings


each_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
counted = pytest.mark.parametrize(
    "count", [1, 2, 33, 100]
)  # 33: the first with a run of more than one client


@each_pair
def test_types_print_the_same(pair):
    assert str(pair.small.type) == str(pair.full.type)


@each_pair
@counted
def test_results_and_crossings_are_the_same(pair, count):
    ids = clients(count)
    arguments = pair.data(ids, np.random.default_rng(count))
    expected, crossed = run_full(pair, arguments)
    found, log = small.execute(pair.small.program, arguments)
    assert_same(unpacked(found, ids), unpacked(expected, ids), exact=pair.exact)
    assert rows_of(log) == rows_of(crossed)


@each_pair
def test_explanations_are_the_same_and_known_before(pair):
    _, found = small.explain(pair.small.program)
    assert rows_of(found) == rows_of(fd.explain(pair.full).crossings)


def test_a_list_is_clients_with_numbers_for_ids():
    key, numbers = np.array([1, 2], np.uint32), list(range(12))
    pair = next(pair for pair in PAIRS if pair.name == "keys")
    expected, _ = run_full(pair, (key, [np.int32(n) for n in numbers]))
    assert_same(unpacked(pair.small(key, numbers), range(12)), unpacked(expected, range(12)), exact=True)


def test_a_sum_of_nobody_is_zero_and_a_mean_is_an_error():
    pair = next(pair for pair in PAIRS if pair.name == "rolling_hash")
    expected, _ = run_full(pair, ({},))
    assert_same(unpacked(pair.small({}), []), unpacked(expected, []), exact=True)
    with pytest.raises(TypeError, match="federated_mean of no clients"):
        small.average([])


# ---------------------------------------------------------------- the second runtime, and the flat form


@each_pair
@counted
def test_all_clients_at_once_is_the_same(pair, count):
    arguments = pair.data(clients(count), np.random.default_rng(count))
    one, log = small.execute(pair.small.program, arguments)
    other, log_at_once = small.execute(pair.small.program, arguments, small.all_at_once)
    assert_same(unpacked(other, clients(count)), unpacked(one, clients(count)), exact=pair.exact)
    assert log == log_at_once


def test_local_code_runs_once_for_each_size():
    calls = []

    def double(x):
        calls.append(x)
        return 2 * x + x[0], x.shape[0]

    rows = [np.arange(n, dtype=np.float32) for n in (3, 4, 3, 3, 4)]
    found = small.all_at_once(double, rows)
    assert len(calls) == 2
    expected = [small.apply_local(double, row) for row in rows]
    assert_same([unpacked(f, []) for f in found], [unpacked(e, []) for e in expected], exact=True)


@pytest.mark.parametrize(
    "code",
    [
        lambda x: x * 2 if x[2] > 0 else x,
        lambda x: np.sort(x),
        lambda x: x.cumsum(),
        lambda x: np.where(x > 0, x, 0),
        lambda x: x.sum(),
        lambda x: x @ x,
        lambda x: np.add.reduce(x),
        lambda x: np.array([1.0, 2.0]),
        lambda x: x[0] if x.shape[0] else x,
        lambda x: x * np.arange(3),
        lambda x: x[..., None] + x[None],
    ],
    ids=range(11),
)
def test_what_cannot_be_stacked_is_done_one_by_one(code):
    rows = [np.array([3, -1, n], np.float32) for n in range(-2, 3)]
    found = small.all_at_once(code, rows)
    assert_same([np.asarray(f) for f in found], [np.asarray(code(row)) for row in rows], exact=True)


@each_pair
def test_the_flat_form_means_the_same(pair):
    flat = small.flat(pair.small.program)
    ids = clients(33)
    arguments = pair.data(ids, np.random.default_rng(0))
    expected, _ = small.execute(pair.small.program, arguments)
    assert_same(unpacked(small.execute(flat, arguments)[0], ids), unpacked(expected, ids), exact=True)
    assert str(small.explain(flat)[0]) == str(pair.small.type.result)
    assert all(isinstance(node, small.Operate) for node in flat.bindings.values())
    assert len(set(flat.bindings.values())) == len(flat.bindings)
    assert small.flat(flat) == flat


def test_the_flat_form_asks_once():
    flat = small.flat(small.variance.program)
    assert [node.name for node in flat.bindings.values()] == [
        "federated_mean",
        "federated_broadcast",
        "federated_zip",
        "federated_map",
        "federated_mean",
    ]


def test_federated_averaging_learns():
    model, x, y = unequal_examples(clients(20), np.random.default_rng(0))
    for _ in range(20):
        model = small.fed_avg_round(model, x, y, apply_to_all=small.all_at_once)
    np.testing.assert_allclose(model, TRUTH, atol=1e-3)  # the data are exact, so the rounds converge


# ---------------------------------------------------------------- errors


def lines_of(error):
    """An error's first line, and what it found and expected."""
    lines = str(error).splitlines()
    return [lines[0], *(line for line in lines if line.startswith(("  found", "  expected")))]


def fold_from(zero):
    """A body that adds up what clients have, beginning with some zero."""

    def add(one, other):
        return one + other

    return lambda op, x: op.federated_aggregate(x, zero, add, add, lambda total: total)


WRONG_PLACE = {
    "sum": (fd.at_server(fd.float32), lambda op, x: op.federated_sum(x)),
    "mean": (fd.at_server(fd.types.struct(b=fd.int8, w=fd.float32)), lambda op, x: op.federated_mean(x)),
    "broadcast": (fd.at_clients(fd.float32), lambda op, x: op.federated_broadcast(x)),
    "key": (fd.at_clients(KEY), lambda op, x: op.federated_key(x, "noise")),
    "aggregate": (fd.at_server(fd.float32), fold_from(0.0)),
}
OTHER_MISTAKES = {
    "mean of integers": (fd.at_clients(fd.int32), lambda op, x: op.federated_mean(x)),
    "sum of truth values": (fd.at_clients(fd.bool_), lambda op, x: op.federated_sum(x)),
    "zip of two places": (
        fd.at_clients(fd.float32),
        lambda op, x: op.federated_zip((x, op.federated_value(1.0, op.SERVER))),
    ),
    "zero of another type": (fd.at_clients(fd.float32), fold_from(np.int32(0))),
    "map of what has no place": (fd.float32, lambda op, x: op.federated_map(lambda v: v, x)),
}


@pytest.mark.parametrize("mistake", WRONG_PLACE)
def test_a_value_in_the_wrong_place_gives_the_same_error(mistake):
    type_, body = WRONG_PLACE[mistake]
    with pytest.raises(TypeError) as ours:
        small.computation(small_type(type_))(partial(body, small))
    with pytest.raises(fd.errors.PlacementError) as theirs:
        fd.computation(type_)(partial(body, fd))
    assert lines_of(ours.value) == lines_of(theirs.value)
    assert "hint" in str(ours.value)


@pytest.mark.parametrize("mistake", OTHER_MISTAKES)
def test_what_foedus_refuses_is_refused(mistake):
    type_, body = OTHER_MISTAKES[mistake]
    with pytest.raises(TypeError, match="found"):
        small.computation(small_type(type_))(partial(body, small))
    with pytest.raises(fd.errors.TypeMismatchError):
        fd.computation(type_)(partial(body, fd))


def test_mistakes_in_arguments_are_errors():
    with pytest.raises(TypeError, match=r"Wrong value at 'b'\n  found     float64\n  expected  float32"):
        small.average({"a": np.float32(1), "b": np.float64(1)})
    with pytest.raises(TypeError, match="different clients"):
        small.fed_avg_round(np.zeros(3, np.float32), [np.ones((2, 3), np.float32)], [])
    with pytest.raises(TypeError, match="called\n  found     no program"):
        small.federated_sum([1.0])


def test_an_error_leaves_no_program_behind():
    with pytest.raises(TypeError):
        small.computation(small.at_server(small.FLOAT32))(small.federated_sum)
    assert small.TRACED == []
    assert small.average([1.0, 2.0]) == 1.5


# ---------------------------------------------------------------- the page as a page


def test_it_is_short():
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_it_needs_numpy_only():
    tree = ast.parse(PAGE.read_text(encoding="utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in found if name.split(".")[0] not in sys.stdlib_module_names} == {"numpy"}


def test_the_tour_runs_without_warnings():
    command = [sys.executable, "-I", "-W", "error", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "({float32}@CLIENTS -> <mean=float32@SERVER,variance=float32@SERVER>)" in done.stdout
    assert "federated_sum needs a value at CLIENTS" in done.stdout
    assert done.stdout.count("the same: True") == 5
