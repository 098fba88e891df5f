# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A computation saved by one process runs in another that has none of its source, in both runtimes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import foedus as fd
from foedus import runtime, types, wire
from foedus.data import cohort_of, derive_key
from foedus.lang import Computation, use
from foedus.simulation.baselines import digits as baseline
from foedus.simulation.datasets import digits
from foedus.types import Sequence, at_clients, at_server

ROW = types.to_type({"x": ("float32", (3,)), "y": "float32"})
WEIGHTS = types.to_type({"w": ("float32", (3,)), "b": "float32"})
SIZES = {"ann": 7, "bob": 0, "eve": 23}

OTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from foedus import runtime, types, wire
from foedus.data import Cohort, cohort_of
from foedus.lang import Computation, use

folder, *names = map(Path, sys.argv[1:])
programs = [
    Computation(wire.decode_program((folder / name).read_bytes(), sender=wire.Sender.TRUSTED), str(name))
    for name in names
]
member = wire.decode_type((folder / "member").read_bytes())
clients = wire.decode_value((folder / "clients").read_bytes(), types.Struct((("ann", member), ("bob", member),
("eve", member))))
cohort = cohort_of(clients, member)
for name, made in (("local", runtime.local()), ("reference", runtime.reference())):
    with use(made):
        state = wire.decode_value((folder / "start").read_bytes(), programs[0].type.parameter.fields[0][1])
        for program in programs:
            state = program(state, cohort)
            state = state["state"] if "state" in state else state
    (folder / name).write_bytes(wire.encode_value(state, programs[0].type.parameter.fields[0][1]))
assert not {"foedus.learning", "optax", "foedus.simulation"} & set(sys.modules), "its source was there"
"""


def work(data: Any, weights: Any, key: Any) -> Any:
    """Local training by stochastic gradient descent, in batches of four, two epochs, shuffled."""

    def loss(weights: Any, batch: Any, mask: Any) -> Any:
        error = batch["x"] @ weights["w"] + weights["b"] - batch["y"]
        return jnp.sum(jnp.where(mask, jnp.square(error), 0)) / jnp.maximum(mask.sum(), 1)

    def step(weights: Any, batch: Any, mask: Any) -> Any:
        slopes = jax.grad(loss)(weights, batch, mask)
        return jax.tree.map(lambda w, g: (w - 0.1 * g).astype(w.dtype), weights, slopes)

    trained = data.shuffle(key).batch(4).repeat(2).fold_padded(step, weights)
    return {"update": jax.tree.map(jnp.subtract, trained, weights), "examples": data.count.astype("float32")}


@fd.computation(at_server(WEIGHTS), at_clients(Sequence(ROW)))
def one_round(weights: Any, data: Any) -> Any:
    key = fd.federated_key(fd.federated_value(np.array([1, 2], np.uint32), fd.SERVER), "order")
    done = fd.federated_map(work, (data, fd.federated_broadcast(weights), key))
    update = fd.federated_mean(
        fd.federated_map(lambda d: d["update"], done), fd.federated_map(lambda d: d["examples"], done)
    )
    return fd.federated_apply(lambda w, u: jax.tree.map(jnp.add, w, u), (weights, update))


def rows(name: str) -> dict[str, Any]:
    draw = np.random.default_rng(SIZES[name])
    x = draw.normal(size=(SIZES[name], 3)).astype(np.float32)
    return {"x": x, "y": x.sum(1)}


def run_elsewhere(
    folder: Path, programs: list[Computation], start: Any, clients: Any, member: types.Type
) -> dict[str, Any]:
    """The state that programs make one after another, in another process, by the name of the runtime."""
    parameter = programs[0].type.parameter
    assert isinstance(parameter, types.Struct)
    state = parameter.fields[0][1]
    for i, program in enumerate(programs):
        (folder / f"program {i}").write_bytes(wire.encode_program(program.node))
    (folder / "start").write_bytes(wire.encode_value(start, state))
    (folder / "member").write_bytes(wire.encode_type(member))
    together = types.Struct(tuple((name, member) for name in SIZES))
    (folder / "clients").write_bytes(wire.encode_value(clients, together))
    names = [f"program {i}" for i in range(len(programs))]
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(folder), *names],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return {name: wire.decode_value((folder / name).read_bytes(), state) for name in ("local", "reference")}


def close(one: Any, other: Any) -> bool:
    # The bound of N4 in the spec, for float32.
    pairs = zip(jax.tree.leaves(tuple_of(one)), jax.tree.leaves(tuple_of(other)), strict=True)
    return all(np.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in pairs)


def tuple_of(value: Any) -> Any:
    parts = types.parts_of(value)
    return value if parts is None else tuple(tuple_of(item) for _, item in parts)


def test_client_work_over_sequences(tmp_path: Path):
    start = {"w": np.zeros(3, np.float32), "b": np.float32(0)}
    clients = {name: rows(name) for name in SIZES}
    expected = start
    with use(runtime.reference()):
        for _ in range(2):
            expected = one_round(expected, cohort_of(clients, Sequence(ROW)))
    found = run_elsewhere(tmp_path, [one_round, one_round], start, clients, Sequence(ROW))
    assert np.abs(expected["w"]).min() > 0.1
    assert close(expected, found["local"])
    assert close(expected, found["reference"])


def test_a_learning_process(tmp_path: Path):
    process = baseline.training()
    cohort = digits.load().train.cohort()
    clients = {name: list(cohort.client(i))[:25] for i, name in enumerate(SIZES)}
    clients = {name: [{"label": e[0], "pixels": e[1]} for e in items] for name, items in clients.items()}
    given = cohort_of(clients, Sequence(digits.ELEMENT_TYPE))
    start = process.process.initialize(derive_key(0, "learning"))
    with use(runtime.local()):
        expected = process.process.next(start, given).state
    found = run_elsewhere(tmp_path, [process.process.next], start, clients, Sequence(digits.ELEMENT_TYPE))
    assert int(expected.round) == 1
    assert close(expected, found["local"])
    assert close(expected, found["reference"])
