# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Leaves of senders that are not trusted: read in a child process first, whatever that does to the child."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import foedus as fd
from foedus import ir, types, wire
from foedus.errors import CorruptDataError, FoedusError, UnsupportedError
from foedus.foreign import kind
from foedus.ir import Foreign, Node
from foedus.types import Function
from foedus.wire import Sender, _leaves
from foedus.wire._leaves import StoredLeaf

VECTOR = types.tensor("float32", (3,))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch):
    """Each test begins in a process that has read nothing."""
    monkeypatch.setattr(_leaves, "_approved", set())


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of leaves that children were asked to read."""
    asked: list[int] = []
    real = _leaves._read_in_child

    def counted(stored: list[StoredLeaf]) -> None:
        asked.append(len(stored))
        real(stored)

    monkeypatch.setattr(_leaves, "_read_in_child", counted)
    return asked


def stored_leaf(fn: Any, parameter: types.Type) -> StoredLeaf:
    leaf = kind("jax").trace(fn, parameter)
    encoded = kind("jax").encode(leaf.payload, leaf.type)
    return StoredLeaf(encoded.kind, leaf.type, encoded.data)


def halved(x: Any) -> Any:
    return x / 2


def program(fn: Any = halved) -> Node:
    return fd.computation(types.at_server(VECTOR))(lambda x: fd.federated_apply(fn, x)).node


def leaf_of(node: Node) -> Foreign:
    return next(found for found in ir.walk(node) if isinstance(found, Foreign))


def refused(stored: list[StoredLeaf]) -> FoedusError:
    with pytest.raises((CorruptDataError, UnsupportedError)) as caught:
        _leaves.load_leaves(stored, Sender.UNTRUSTED)
    return caught.value


def test_a_leaf_is_read_by_a_child_once(children: list[int]):
    data = wire.encode_program(program())
    first, second = wire.decode_program(data), wire.decode_program(data)
    assert children == [1]
    assert first == second
    assert leaf_of(first).kind == "stablehlo"
    run = kind("stablehlo").run
    assert np.array_equal(run(leaf_of(first).payload, np.ones(3, np.float32)), np.full(3, 0.5, np.float32))


def test_a_trusted_sender_needs_no_child(children: list[int]):
    wire.decode_program(wire.encode_program(program()), sender=Sender.TRUSTED)
    assert children == []


def test_a_digest_is_made_of_what_was_read():
    """A sender cannot pass code off as other code: the digest is not in the bytes."""
    one = leaf_of(wire.decode_program(wire.encode_program(program()), sender=Sender.TRUSTED))
    other = leaf_of(wire.decode_program(wire.encode_program(program(lambda x: x / 4)), sender=Sender.TRUSTED))
    assert one.type == other.type
    assert one.digest != other.digest
    assert one.digest == leaf_of(wire.decode_program(wire.encode_program(program()))).digest


GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "program_leaves_jax_0_10.foedus"


@pytest.mark.parametrize(
    ("leaf", "at", "value"), [(1, 302, 147), (1, 286, 225), (0, 4309, 253), (0, 4321, 49), (0, 201, 7)]
)
def test_damaged_code_never_ends_this_process(leaf: int, at: int, value: int):
    """Single bytes of an export that end JAX 0.10 with an abort (two), with a fault (two), or not at all."""
    program = wire.decode_program(GOLDEN.read_bytes(), sender=Sender.TRUSTED)
    leaves = {found.digest: found for found in ir.walk(program) if isinstance(found, Foreign)}
    whole = sorted(leaves.values(), key=lambda found: -len(found.payload.data))[leaf]
    data = bytearray(whole.payload.data)
    data[at] = value
    try:
        found = _leaves.load_leaves([StoredLeaf(whole.kind, whole.type, bytes(data))], Sender.UNTRUSTED)
    except CorruptDataError:
        return
    assert found[0].type == whole.type


def test_the_error_of_a_child_is_raised_here():
    whole = stored_leaf(halved, VECTOR)
    cut = StoredLeaf(whole.kind, whole.type, whole.data[: len(whole.data) // 2])
    error = refused([whole, cut])
    assert isinstance(error, CorruptDataError)
    assert error.headline == "The stored leaf cannot be read"
    assert error.expected == "code of type (float32[3] -> float32[3])"


def test_code_of_another_type_is_refused():
    whole = stored_leaf(halved, VECTOR)
    other = Function(VECTOR, types.tensor("float32", (4,)))
    error = refused([StoredLeaf(whole.kind, other, whole.data)])
    assert error.found == "the result float32[3] where float32[4] should be"


def test_native_code_is_for_trusted_senders_only(children: list[int]):
    matrix = types.at_server(types.tensor("float32", (3, 3)))
    node = fd.computation(matrix)(lambda x: fd.federated_apply(jnp.linalg.cholesky, x)).node
    data = wire.encode_program(node)
    with pytest.raises(UnsupportedError) as caught:
        wire.decode_program(data)
    error = caught.value
    assert error.headline == "A leaf of a sender that is not trusted calls what stands outside of it"
    assert "lapack_spotrf_ffi" in (error.found or "")
    assert error.hint == "decode it as from a trusted sender, if you do trust it"
    assert children == [1]
    found = leaf_of(wire.decode_program(data, sender=Sender.TRUSTED))
    factor = kind("stablehlo").run(found.payload, np.eye(3, dtype=np.float32) * 4)
    assert np.array_equal(factor, np.eye(3, dtype=np.float32) * 2)


def test_a_child_that_takes_too_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_leaves, "SECONDS", 0.05)
    error = refused([stored_leaf(halved, VECTOR)])
    assert error.headline == "The process that read a stored leaf did not survive it"
    assert "no answer within 0.05 s" in (error.found or "")


@pytest.fixture
def child_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program of the test's own in place of what a child runs."""

    def replace(source: str) -> None:
        (tmp_path / "child_of_a_test.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(_leaves, "CHILD", "child_of_a_test")

    return replace


def test_a_child_that_is_ended(child_that: Any):
    child_that(
        """
        import os
        os.write(1, b'{"leaf": 0}\\n')
        os.abort()
        """
    )
    error = refused([stored_leaf(halved, VECTOR)])
    assert isinstance(error, CorruptDataError)
    assert error.found == "exit status -6 on leaf 0 of type (float32[3] -> float32[3])"
    assert not _leaves._approved


@pytest.mark.parametrize(
    "answer", ['{"read": 1', '{"read": 2}', "[1]", "\\xff", '{"leaf": 7}', '{"read": 1}\\n{"leaf": true}', ""]
)
def test_a_child_that_says_something_else(child_that: Any, answer: str):
    child_that(f"import os; os.write(1, b'{answer}')")
    assert refused([stored_leaf(halved, VECTOR)]).headline.startswith("The process that read a stored leaf")


def test_a_child_that_says_all_is_well_and_crashes(child_that: Any):
    child_that("import os; os.write(1, b'{\"read\": 1}'); os._exit(3)")
    assert "exit status 3" in (refused([stored_leaf(halved, VECTOR)]).found or "")


def test_the_environment_of_a_child_is_small(child_that: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    child_that(
        """
        import json, os
        kept = sorted(set(os.environ) - {"LC_CTYPE", "LD_LIBRARY_PATH"})
        os.write(1, json.dumps({"error": "CorruptDataError", "headline": " ".join(kept)}).encode())
        """
    )
    assert refused([stored_leaf(halved, VECTOR)]).headline == "JAX_PLATFORMS MALLOC_ARENA_MAX PYTHONPATH"


def test_too_many_bytes_for_a_child(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_leaves, "MOST_BYTES", 10)
    assert refused([stored_leaf(halved, VECTOR)]).expected == "at most 10"


def test_the_memory_of_a_child_is_bounded(child_that: Any):
    """What a child does with its limits: more than them fails, whatever the machine has."""
    child_that(
        """
        import json, os
        from foedus.wire import _leaf_child
        _leaf_child.MEMORY = 1 << 30
        _leaf_child.bound()
        try:
            bytearray(1 << 31)
        except MemoryError:
            os.write(1, json.dumps({"error": "CorruptDataError", "headline": "too much"}).encode())
        """
    )
    assert refused([stored_leaf(halved, VECTOR)]).headline == "too much"


def test_approvals_are_forgotten_before_they_are_too_many(
    children: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_leaves, "_MOST_REMEMBERED", 0)
    one, other = stored_leaf(halved, VECTOR), stored_leaf(lambda x: x / 4, VECTOR)
    for leaf in (one, other, other, one):
        _leaves.load_leaves([leaf], Sender.UNTRUSTED)
    assert children == [1, 1, 1]


def test_a_child_does_not_outlive_an_interrupt(monkeypatch: pytest.MonkeyPatch):
    ended: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def communicate(self, *_: Any, **__: Any) -> Any:
            ended.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(_leaves.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        _leaves.load_leaves([stored_leaf(halved, VECTOR)], Sender.UNTRUSTED)
    assert [child.returncode for child in ended] == [-9]
