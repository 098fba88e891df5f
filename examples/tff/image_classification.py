# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging of a Keras model on handwritten digits, round by round, with metrics and evaluation.

Each writer is a client. A round sends the model to ten of them, each trains on its own digits, and the server
takes the mean of what changed. The metrics of every round go to a CSV file, and at the end the model is
evaluated on digits of the same writers that it has not seen.

FOEDUS_DATA_DIR=folder-with-emnist_all.sqlite python examples/tff/image_classification.py
"""

import asyncio
import csv
import tempfile
from collections import OrderedDict
from pathlib import Path

import tensorflow as tf

import foedus.tff as tff

CLIENTS, ROUNDS, EPOCHS, BATCH_SIZE, RATE = 10, 5, 2, 20, 0.1


def preprocessed(dataset, epochs):
    """Batches of ``x``, 784 numbers from paper, 0, to ink, 1, and ``y``, the digit."""

    def flat(examples):
        return OrderedDict(
            x=1.0 - tf.reshape(examples["pixels"], [-1, 784]), y=tf.reshape(examples["label"], [-1, 1])
        )

    return dataset.repeat(epochs).batch(BATCH_SIZE).map(flat).prefetch(2)


def client_datasets(source, clients, epochs):
    """A list of data sets, one for each client."""
    return [preprocessed(source.create_tf_dataset_for_client(client), epochs) for client in clients]


def keras_model():
    """Softmax regression."""
    return tf.keras.models.Sequential(
        [
            tf.keras.Input((784,)),
            tf.keras.layers.Dense(10, kernel_initializer="zeros"),
            tf.keras.layers.Softmax(),
        ]
    )


def build_model_fn(input_spec):
    """A function that makes the model anew each time, as every builder needs it."""

    def model_fn():
        return tff.learning.models.from_keras_model(
            keras_model(),
            input_spec=input_spec,
            loss=tf.keras.losses.SparseCategoricalCrossentropy(),
            metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
        )

    return model_fn


def train(process, data, path):
    """The state after some rounds, and each round's metrics, which also go to a file."""
    manager = tff.program.CSVFileReleaseManager(path, key_fieldname="round")
    state, rounds = process.initialize(), []
    for number in range(1, ROUNDS + 1):
        output = process.next(state, data)
        state = output.state
        rounds.append(output.metrics["client_work"]["train"])
        asyncio.run(manager.release(output.metrics, number))
        print(f"round {number}:", {name: float(value) for name, value in rounds[-1].items()})
    return state, rounds


def main():
    """Trains and evaluates; prints the metrics and returns them."""
    train_source, test_source = tff.simulation.datasets.emnist.load_data()
    clients = train_source.client_ids[:CLIENTS]
    data = client_datasets(train_source, clients, EPOCHS)
    model_fn = build_model_fn(data[0].element_spec)
    process = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn,
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(learning_rate=RATE),
        server_optimizer_fn=tff.learning.optimizers.build_sgdm(learning_rate=1.0),
    )
    print(process.initialize.type_signature.formatted_representation())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.csv"
        state, rounds = train(process, data, path)
        with open(path, newline="", encoding="utf-8") as file:
            released = list(csv.DictReader(file))
    weights = process.get_model_weights(state)
    evaluation = tff.learning.algorithms.build_fed_eval(model_fn)
    evaluating = evaluation.set_model_weights(evaluation.initialize(), weights)
    tested = evaluation.next(evaluating, client_datasets(test_source, clients, 1)).metrics
    found = tested["client_work"]["eval"]["current_round_metrics"]
    print("on digits that it has not seen:", {name: float(value) for name, value in found.items()})
    keras = keras_model()
    weights.assign_weights_to(keras)
    batch = next(iter(data[0]))
    print("the first digits:", [int(label) for label in batch["y"][:10, 0]])
    print("the model's guesses:", [int(guess) for guess in tf.argmax(keras(batch["x"][:10]), axis=1)])
    return {
        "rounds": rounds,
        "released": released,
        "tested": found,
        "weights": [variable.numpy() for variable in keras.trainable_variables],
    }


if __name__ == "__main__":
    main()
