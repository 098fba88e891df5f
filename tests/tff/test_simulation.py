# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clients with data sets, files of them, sampling and loops."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foedus.tff as tff
from foedus.errors import MissingDataError
from foedus.simulation.datasets import emnist

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow

datasets = tff.simulation.datasets
SLICES = {
    "b": OrderedDict(x=np.array([[1, 2], [3, 4]], np.float32), y=np.array([0, 1], np.int32)),
    "a": OrderedDict(x=np.array([[5, 6]], np.float32), y=np.array([1], np.int32)),
}


def read(dataset: Any) -> list[Any]:
    return [
        {name: value.tolist() for name, value in element.items()} for element in dataset.as_numpy_iterator()
    ]


@pytest.fixture
def clients() -> Any:
    return datasets.TestClientData(SLICES)


def test_clients_in_memory(clients: Any):
    assert clients.client_ids == ["a", "b"]
    assert read(clients.create_tf_dataset_for_client("a")) == [{"x": [5, 6], "y": 1}]
    assert clients.element_type_structure == OrderedDict(
        x=tf.TensorSpec((2,), tf.float32), y=tf.TensorSpec((), tf.int32)
    )
    assert clients.serializable_dataset_fn("a").element_spec == clients.element_type_structure
    with pytest.raises(ValueError, match=r"ID \[c\] is not a client"):
        clients.create_tf_dataset_for_client("c")
    with pytest.raises(ValueError, match="at least one client"):
        datasets.TestClientData({})
    with pytest.raises(TypeError, match="one type at all clients"):
        datasets.TestClientData({"a": np.array([1], np.int32), "b": np.array([1], np.float32)})


def test_all_of_them(clients: Any):
    assert [len(read(dataset)) for dataset in clients.datasets(seed=0)] in ([1, 2], [2, 1])
    assert len(list(clients.datasets(limit_count=1))) == 1
    together = read(clients.create_tf_dataset_from_all_clients(seed=1))
    assert sorted(element["y"] for element in together) == [0, 1, 1]


def test_functions_of_data_sets(clients: Any):
    batched = clients.preprocess(lambda dataset: dataset.batch(2))
    assert read(batched.create_tf_dataset_for_client("b")) == [{"x": [[1, 2], [3, 4]], "y": [0, 1]}]
    made = datasets.ClientData.from_clients_and_tf_fn(["u", "v"], lambda c: tf.data.Dataset.range(len(c)))
    assert made.client_ids == ["u", "v"]
    old = datasets.ClientData.from_clients_and_fn(["u"], made.create_tf_dataset_for_client)
    with pytest.raises(ValueError, match=r"ID \[v\]"):
        old.create_tf_dataset_for_client("v")


def test_splitting_clients():
    ids = [f"c{i}" for i in range(5)]
    data = datasets.ClientData.from_clients_and_tf_fn(ids, lambda c: tf.data.Dataset.range(1))
    train, test = datasets.ClientData.train_test_client_split(data, 2, seed=3)
    assert (len(train.client_ids), len(test.client_ids)) == (3, 2)
    assert sorted(train.client_ids + test.client_ids) == ids
    with pytest.raises(ValueError, match="`num_test_clients` to be from 1 to 4, found 5"):
        datasets.ClientData.train_test_client_split(data, 5)


def test_files(clients: Any, tmp_path: Path):
    path = str(tmp_path / "data.sqlite")
    datasets.save_to_sql_client_data(
        clients.client_ids, clients.create_tf_dataset_for_client, path, split_names_by_client_id={"a": "one"}
    )
    with pytest.raises(FileExistsError):
        datasets.save_to_sql_client_data(["a"], clients.create_tf_dataset_for_client, path)
    spec = clients.element_type_structure
    parsed = datasets.load_and_parse_sql_client_data(path, spec, "default")
    assert parsed.client_ids == ["b"]
    assert read(parsed.create_tf_dataset_for_client("b")) == read(clients.create_tf_dataset_for_client("b"))
    raw = datasets.SqlClientData(path)
    assert raw.client_ids == ["a", "b"]
    features = {"x": tf.io.FixedLenFeature([2], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}
    examples = raw.create_tf_dataset_for_client("b").map(lambda m: tf.io.parse_single_example(m, features))
    assert read(examples) == read(clients.create_tf_dataset_for_client("b"))
    assert datasets.SqlClientData(path, "one").client_ids == ["a"]


def test_emnist(emnist_folder: Path):
    train, test = datasets.emnist.load_data(cache_dir=emnist_folder)
    drawn = emnist.synthetic().train
    assert train.client_ids == list(drawn.ids)
    assert len(test.client_ids) == len(drawn)
    assert list(train.element_type_structure) == ["label", "pixels"]
    first = next(iter(train.create_tf_dataset_for_client("writer000").as_numpy_iterator()))
    np.testing.assert_array_equal(first["pixels"], drawn.columns("writer000")["pixels"][0])
    assert datasets.emnist.get_synthetic().client_ids == ["writer000", "writer001"]


def test_shakespeare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = {"role": tf.data.Dataset.from_tensor_slices({"snippets": ["to be", "or not"]})}
    monkeypatch.delenv("FOEDUS_DATA_DIR", raising=False)
    with pytest.raises(MissingDataError, match=r"shakespeare\.sqlite is not here"):
        datasets.shakespeare.load_data(tmp_path)
    from foedus.simulation import ClientData, save_sql

    saved = ClientData.from_clients({"role": [{"snippets": "to be"}, {"snippets": "or not"}]})
    save_sql(tmp_path / "shakespeare.sqlite", {"train": saved, "test": saved})
    train, _ = datasets.shakespeare.load_data(tmp_path)
    assert read_strings(train.create_tf_dataset_for_client("role")) == read_strings(lines["role"])


def read_strings(dataset: Any) -> list[bytes]:
    return [element["snippets"] for element in dataset.as_numpy_iterator()]


def test_sampling():
    sample = tff.simulation.build_uniform_sampling_fn(["a", "b", "c", "d"], random_seed=1)
    assert sample(5, size=2) == sample(5, size=2)
    assert len({tuple(sample(i, size=2)) for i in range(20)}) > 3
    assert len(set(sample(3, size=4))) == 4
    with pytest.raises(ValueError, match="`size` to be at most 4, found 5"):
        sample(0, size=5)
    again = tff.simulation.build_uniform_sampling_fn([1, 2], replace=True)
    assert len(again(0, size=9)) == 9
    data = datasets.TestClientData(SLICES)
    assert set(tff.simulation.build_uniform_client_sampling_fn(data, 2, random_seed=0)(1)) == {"a", "b"}


@tff.federated_computation
def nothing():
    return tff.federated_value(np.int32(0), tff.SERVER)


@tff.federated_computation(tff.type_at_server(np.int32), tff.type_at_clients(np.int32))
def add(state, value):
    total = tff.federated_sum(value)
    new = tff.federated_map(tff.jax_computation(lambda s, t: s + t), (state, total))
    return new, tff.federated_zip(OrderedDict(total=total))


PROCESS = tff.templates.IterativeProcess(nothing, add)


def test_training(tmp_path: Path):
    released = tff.program.MemoryReleaseManager()
    states = tff.program.FileProgramStateManager(tmp_path, keep_total=2)
    rounds: list[int] = []

    def select(number: int) -> list[int]:
        rounds.append(number)
        return [number, number]

    def run(total: int) -> Any:
        return tff.simulation.run_training_process(
            PROCESS,
            select,
            total,
            evaluation_fn=lambda state, data: OrderedDict(sum=state + sum(data)),
            evaluation_selection_fn=lambda number: [1],
            rounds_per_evaluation=2,
            program_state_manager=states,
            metrics_managers=[released],
        )

    assert run(3) == 12
    found = released.values()
    assert list(found) == [0, 1, 2, 3]
    assert found[0]["evaluation/sum"] == 1
    assert (found[2]["total"], found[2]["round_number"], found[2]["evaluation/sum"]) == (4, 2, 7)
    assert "evaluation/sum" not in found[1]
    assert found[3]["round_time_in_seconds"] >= found[3]["training_time_in_seconds"] >= 0
    assert run(4) == 20
    assert rounds == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="or neither"):
        tff.simulation.run_training_process(PROCESS, select, 1, evaluation_fn=lambda s, d: {})
