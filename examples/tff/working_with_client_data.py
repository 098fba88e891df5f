# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clients and their data: ids, a ``tf.data`` data set for each, and what can be made of them.

FOEDUS_DATA_DIR=folder-with-emnist_all.sqlite python examples/tff/working_with_client_data.py
"""

import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import tensorflow as tf

import foedus.tff as tff

datasets = tff.simulation.datasets
TESTED, BATCH_SIZE = 4, 8


def batches_of_ink(dataset):
    """How dark each digit is, and which one it is, in batches."""
    return dataset.map(lambda e: (1.0 - tf.reduce_mean(e["pixels"]), e["label"])).batch(BATCH_SIZE)


@tff.tf_computation(tff.SequenceType((tff.TensorType(tf.float32, [None]), tff.TensorType(tf.int32, [None]))))
def ink_and_count(batches):
    """The mean darkness of one client's digits, and how many there are."""

    def add(sums, batch):
        return sums[0] + tf.reduce_sum(batch[0]), sums[1] + tf.cast(tf.size(batch[0]), tf.float32)

    total, count = batches.reduce((0.0, 0.0), add)
    return total / count, count


@tff.federated_computation(tff.type_at_clients(ink_and_count.type_signature.parameter))
def mean_ink(data):
    """The mean darkness over the digits of all clients."""
    local = tff.federated_map(ink_and_count, data)
    return tff.federated_mean(local[0], local[1])


def drawn_client(client_id):
    """Clients that no file holds: readings that follow from the client's id alone."""
    number = tf.strings.to_number(tf.strings.substr(client_id, len("station-"), 1))
    return tf.data.Dataset.range(3).map(lambda hour: 10.0 * number + tf.cast(hour, tf.float32))


def count(dataset):
    """How many elements a data set has."""
    return dataset.reduce(0, lambda total, _: total + 1).numpy()


def stored(source, folder):
    """Clients written to a SQLite file and read back: as messages, and parsed."""
    path = str(Path(folder) / "clients.sqlite")
    datasets.save_to_sql_client_data(source.client_ids, source.create_tf_dataset_for_client, path)
    messages = datasets.SqlClientData(path)
    features = {
        "pixels": tf.io.FixedLenFeature([28, 28], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    parsed = messages.preprocess(lambda d: d.map(lambda m: tf.io.parse_single_example(m, features)))
    return messages, parsed


def main():
    """Goes through what a ``ClientData`` offers; prints what it finds and returns it."""
    source, _ = datasets.emnist.load_data()
    first = source.client_ids[0]
    print(len(source.client_ids), "clients, the first is", first, "with", source.element_type_structure)
    labels = [int(e["label"]) for e in source.create_tf_dataset_for_client(first)]
    print("its digits:", labels)

    train, test = datasets.ClientData.train_test_client_split(source, TESTED, seed=1)
    print(f"{len(train.client_ids)} clients to train on, {len(test.client_ids)} to test on")
    together = test.create_tf_dataset_from_all_clients(seed=1)
    print(f"the digits of the test clients in one data set: {count(together)}")

    prepared = test.preprocess(batches_of_ink)
    ink = mean_ink([prepared.create_tf_dataset_for_client(i) for i in prepared.client_ids])
    print(f"their mean darkness: {ink:.4f}")

    drawn = datasets.ClientData.from_clients_and_tf_fn(["station-1", "station-2"], drawn_client)
    readings = OrderedDict((i, np.array(list(drawn.serializable_dataset_fn(i)))) for i in drawn.client_ids)
    print("drawn:", {i: values.tolist() for i, values in readings.items()})

    with tempfile.TemporaryDirectory() as folder:
        messages, parsed = stored(test, folder)
        print("stored:", messages.client_ids, messages.element_type_structure)
        read = [next(iter(parsed.create_tf_dataset_for_client(i))) for i in parsed.client_ids]
    return {
        "labels": labels,
        "clients": [source.client_ids, train.client_ids, test.client_ids],
        "together": sorted(int(e["label"]) for e in together),
        "ink": ink,
        "drawn": readings,
        "stored": [messages.client_ids, [(e["pixels"].numpy(), int(e["label"])) for e in read]],
    }


if __name__ == "__main__":
    main()
