# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Federated averaging without ``tff.learning``: its four parts, each an operator or TensorFlow code.

1. The server sends its weights to the clients.
2. Each client trains on its own data, from these weights on.
3. The server gets the mean of the clients' weights.
4. The server takes it for its own weights.

FOEDUS_DATA_DIR=folder-with-emnist_all.sqlite python examples/tff/building_your_own_federated_averaging.py
"""

import tensorflow as tf

import foedus.tff as tff

CLIENTS, ROUNDS, BATCH_SIZE, RATE, MOMENTUM = 5, 4, 20, 0.05, 0.5

SPEC = (tf.TensorSpec([None, 784], tf.float32), tf.TensorSpec([None, 1], tf.int32))
DATA = tff.SequenceType(tff.types.tensorflow_to_type(SPEC))


def keras_model():
    """Softmax regression."""
    return tf.keras.models.Sequential(
        [
            tf.keras.Input((784,)),
            tf.keras.layers.Dense(10, kernel_initializer="zeros"),
            tf.keras.layers.Softmax(),
        ]
    )


def loss_of(weights, batch):
    """The mean cross-entropy of a batch: what the Keras model computes, with the weights as an argument."""
    x, y = batch
    logits = tf.matmul(x, weights[0]) + weights[1]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y[:, 0], logits=logits))


@tff.tf_computation
def server_init():
    """The weights that a new Keras model has."""
    return [tf.convert_to_tensor(variable) for variable in keras_model().trainable_variables]


WEIGHTS = server_init.type_signature.result


@tff.tf_computation(DATA, WEIGHTS)
def client_update(dataset, server_weights):
    """A client's weights after one pass over its data by gradient descent with momentum."""

    def step(state, batch):
        weights, velocities = state
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = loss_of(weights, batch)
        gradients = tape.gradient(loss, weights)
        moving = tuple(MOMENTUM * v + g for v, g in zip(velocities, gradients, strict=True))
        return tuple(w - RATE * v for w, v in zip(weights, moving, strict=True)), moving

    start = tuple(server_weights)
    weights, _ = dataset.reduce((start, tuple(tf.zeros_like(w) for w in start)), step)
    return list(weights)


@tff.tf_computation(WEIGHTS)
def server_update(mean_of_clients):
    """The server's next weights."""
    return mean_of_clients


@tff.federated_computation
def initialize():
    """The server's first weights."""
    return tff.federated_eval(server_init, tff.SERVER)


@tff.federated_computation(tff.type_at_server(WEIGHTS), tff.type_at_clients(DATA))
def next_round(server_weights, data):
    """One round."""
    weights_at_clients = tff.federated_broadcast(server_weights)
    trained = tff.federated_map(client_update, (data, weights_at_clients))
    mean = tff.federated_mean(trained)
    return tff.federated_map(server_update, mean)


def client_dataset(source, client):
    """A client's data set; 1 is ink and 0 is paper."""

    def flat(e):
        return 1.0 - tf.reshape(e["pixels"], [-1, 784]), tf.reshape(e["label"], [-1, 1])

    return source.create_tf_dataset_for_client(client).batch(BATCH_SIZE).map(flat)


def evaluated(weights, dataset):
    """The loss and the accuracy that Keras finds for weights."""
    model = keras_model()
    model.compile(
        loss=tf.keras.losses.SparseCategoricalCrossentropy(),
        metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
    )
    model.set_weights(weights)
    return [float(number) for number in model.evaluate(dataset, verbose=0)]


def main():
    """Trains, and evaluates after each round; prints what it finds and returns it."""
    train, test = tff.simulation.datasets.emnist.load_data()
    clients = train.client_ids[:CLIENTS]
    data = [client_dataset(train, client) for client in clients]
    central = client_dataset(test, clients[0])
    for client in clients[1:]:
        central = central.concatenate(client_dataset(test, client))
    process = tff.templates.IterativeProcess(initialize_fn=initialize, next_fn=next_round)
    print("next:", process.next.type_signature.formatted_representation())
    state = process.initialize()
    found = [evaluated(state, central)]
    for number in range(1, ROUNDS + 1):
        state = process.next(state, data)
        found.append(evaluated(state, central))
        print(f"after round {number}: loss {found[-1][0]:.4f}, accuracy {found[-1][1]:.4f}")
    return {"evaluated": found, "weights": state, "type": str(process.next.type_signature)}


if __name__ == "__main__":
    main()
