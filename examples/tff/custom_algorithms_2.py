# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated logistic regression, written down step by step: a batch, a client, all clients.

A client's data is a sequence of batches. Training folds over it with ``sequence_reduce``, evaluation adds up
what ``sequence_map`` makes of each batch, and two operators bring clients and server together.

FOEDUS_DATA_DIR=folder-with-emnist_all.sqlite python examples/tff/custom_algorithms_2.py
"""

from collections import OrderedDict

import numpy as np
import tensorflow as tf

import foedus.tff as tff

PIXELS, DIGITS = 28 * 28, 10
CLIENTS, ROUNDS, BATCH_SIZE = 5, 5, 10
RATE, DECAY = 0.1, 0.9

BATCH = tff.to_type(
    OrderedDict(x=tf.TensorSpec([None, PIXELS], tf.float32), y=tf.TensorSpec([None], tf.int32))
)
BATCHES = tff.SequenceType(BATCH)
MODEL = tff.to_type(
    OrderedDict(weights=tf.TensorSpec([PIXELS, DIGITS], tf.float32), bias=tf.TensorSpec([DIGITS], tf.float32))
)
RATE_TYPE = tff.TensorType(tf.float32)


def logits_of(model, batch):
    """One number for each example and digit."""
    return tf.matmul(batch["x"], model["weights"]) + model["bias"]


def losses_of(model, batch):
    """The cross-entropy of each example."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch["y"], logits=logits_of(model, batch))


@tff.tf_computation(MODEL, BATCH, RATE_TYPE)
def batch_train(model, batch, rate):
    """The model after one step of gradient descent."""
    with tf.GradientTape() as tape:
        tape.watch(model)
        loss = tf.reduce_mean(losses_of(model, batch))
    return tf.nest.map_structure(lambda w, g: w - rate * g, model, tape.gradient(loss, model))


@tff.tf_computation(MODEL, BATCH)
def batch_sums(model, batch):
    """The sum of the losses, how often the model is right, and the number of examples."""
    found = tf.argmax(logits_of(model, batch), axis=1, output_type=tf.int32)
    right = tf.cast(found == batch["y"], tf.float32)
    return OrderedDict(
        loss=tf.reduce_sum(losses_of(model, batch)),
        right=tf.reduce_sum(right),
        examples=tf.reduce_sum(tf.ones_like(right)),
    )


@tff.federated_computation(MODEL, RATE_TYPE, BATCHES)
def local_train(model, rate, batches):
    """The model after one pass over a client's batches."""

    @tff.federated_computation(MODEL, BATCH)
    def step(model, batch):
        return batch_train(model, batch, rate)

    return tff.sequence_reduce(batches, model, step)


@tff.federated_computation(MODEL, BATCHES)
def local_sums(model, batches):
    """``batch_sums`` of all of a client's batches."""
    each = tff.sequence_map(tff.federated_computation(lambda batch: batch_sums(model, batch), BATCH), batches)
    return tff.sequence_sum(each)


@tff.tf_computation(local_sums.type_signature.result)
def means(sums):
    """The mean loss and the share of right answers."""
    return OrderedDict(loss=sums["loss"] / sums["examples"], accuracy=sums["right"] / sums["examples"])


SERVER_MODEL, CLIENT_DATA = tff.type_at_server(MODEL), tff.type_at_clients(BATCHES)


@tff.federated_computation(SERVER_MODEL, CLIENT_DATA)
def federated_eval(model, data):
    """How good a model is on the examples of all clients."""
    sums = tff.federated_map(local_sums, [tff.federated_broadcast(model), data])
    return tff.federated_map(means, tff.federated_sum(sums))


@tff.federated_computation(SERVER_MODEL, tff.type_at_server(RATE_TYPE), CLIENT_DATA)
def federated_train(model, rate, data):
    """The mean of the clients' models after each has trained, weighted by their numbers of examples."""
    sent = tff.federated_broadcast(model)
    trained = tff.federated_map(local_train, [sent, tff.federated_broadcast(rate), data])
    examples = tff.federated_map(local_sums, [sent, data])["examples"]
    return tff.federated_mean(trained, examples)


def client_batches(source, client):
    """A client's data set; 1 is ink and 0 is paper."""
    examples = source.create_tf_dataset_for_client(client)
    flat = examples.map(lambda e: OrderedDict(x=1.0 - tf.reshape(e["pixels"], [-1]), y=e["label"]))
    return flat.batch(BATCH_SIZE)


def main():
    """Trains on one client alone, then on all; prints the losses and returns them."""
    train, test = tff.simulation.datasets.emnist.load_data()
    clients = train.client_ids[:CLIENTS]
    train_data = [client_batches(train, client) for client in clients]
    test_data = [client_batches(test, client) for client in clients]
    for computation in (batch_train, local_train, local_sums, federated_train, federated_eval):
        print(f"{computation.__name__}: {computation.type_signature}")
    zeros = OrderedDict(weights=np.zeros([PIXELS, DIGITS], np.float32), bias=np.zeros([DIGITS], np.float32))
    alone = local_train(zeros, RATE, train_data[0])
    local = [means(local_sums(model, train_data[0]))["loss"] for model in (zeros, alone)]
    print(f"the first client's own loss: {local[0]:.4f}, after training alone: {local[1]:.4f}")
    model, rate, losses = zeros, RATE, []
    for number in range(ROUNDS):
        model = federated_train(model, rate, train_data)
        rate *= DECAY
        losses.append(federated_eval(model, train_data)["loss"])
        print(f"round {number}: loss {losses[-1]:.4f}")
    tested = federated_eval(model, test_data)
    print(f"on the clients' test data: {tested}")
    return {"local": local, "losses": losses, "test": tested, "model": model}


if __name__ == "__main__":
    main()
