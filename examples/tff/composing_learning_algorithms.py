# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A learning algorithm of your own, composed of parts: here the clients clip their gradients.

A learning process has four parts: how the model reaches the clients, what they do with it, how their updates
become one, and what the server does with that. Three are taken as they come, and the clients' work is written
here, in TensorFlow.

FOEDUS_DATA_DIR=folder-with-emnist_all.sqlite python examples/tff/composing_learning_algorithms.py
"""

from collections import OrderedDict

import tensorflow as tf

import foedus.tff as tff

CLIENTS, ROUNDS, BATCH_SIZE, RATE, MOMENTUM, LIMIT = 5, 3, 8, 0.1, 0.5, 3.0

templates, models = tff.learning.templates, tff.learning.models


def preprocessed(dataset):
    """Batches of ``x``, 784 numbers from paper, 0, to ink, 1, and ``y``, the digit."""

    def flat(e):
        return OrderedDict(x=1.0 - tf.reshape(e["pixels"], [-1, 784]), y=tf.reshape(e["label"], [-1, 1]))

    return dataset.batch(BATCH_SIZE).map(flat)


def model_fn():
    """Softmax regression."""
    keras_model = tf.keras.models.Sequential(
        [
            tf.keras.Input((784,)),
            tf.keras.layers.Dense(10, kernel_initializer="zeros"),
            tf.keras.layers.Softmax(),
        ]
    )
    return models.from_keras_model(
        keras_model,
        loss=tf.keras.losses.SparseCategoricalCrossentropy(),
        input_spec=OrderedDict(
            x=tf.TensorSpec([None, 784], tf.float32), y=tf.TensorSpec([None, 1], tf.int32)
        ),
        metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
    )


@tff.tf_computation
def initial_weights():
    """The weights of a new model."""
    return models.ModelWeights.from_model(model_fn())


WEIGHTS = initial_weights.type_signature.result
DATA = tff.SequenceType(tff.tensorflow.to_type(model_fn().input_spec))


@tf.function
def train(model, weights, dataset, optimizer):
    """A client's training, with each gradient clipped: how the weights changed, and the numbers of examples
    and of clipped gradients."""
    variables = model.trainable_variables
    weights.assign_weights_to(model)
    state = optimizer.initialize([tf.TensorSpec(variable.shape, tf.float32) for variable in variables])
    examples, clipped = 0.0, 0.0
    for batch in iter(dataset):
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch)
        gradients, norm = tf.clip_by_global_norm(tape.gradient(output.loss, variables), LIMIT)
        state, moved = optimizer.next(state, variables, gradients)
        for variable, value in zip(variables, moved, strict=True):
            variable.assign(value)
        examples += tf.cast(output.num_examples, tf.float32)
        clipped += tf.cast(norm > LIMIT, tf.float32)
    change = [before - after for before, after in zip(weights.trainable, variables, strict=True)]
    return change, examples, clipped


@tff.tf_computation(WEIGHTS, DATA)
def client_update(weights, dataset):
    """What a client sends, and how many of its gradients were clipped."""
    optimizer = tff.learning.optimizers.build_sgdm(RATE, momentum=MOMENTUM)
    change, examples, clipped = train(model_fn(), weights, dataset, optimizer)
    return templates.ClientResult(update=change, update_weight=examples), clipped


def clipping_client_work():
    """The clients' work as a part of a learning process: its state counts the clipped gradients."""

    @tff.federated_computation
    def initialize():
        return tff.federated_value(0.0, tff.SERVER)

    @tff.tf_computation(tf.float32, tf.float32)
    def add(total, now):
        return total + now

    @tff.federated_computation(
        tff.type_at_server(tf.float32), tff.type_at_clients(WEIGHTS), tff.type_at_clients(DATA)
    )
    def next_(state, weights, data):
        result, clipped = tff.federated_map(client_update, (weights, data))
        now = tff.federated_sum(clipped)
        total = tff.federated_map(add, (state, now))
        measured = tff.federated_zip(OrderedDict(clipped=now, clipped_so_far=total))
        return tff.templates.MeasuredProcessOutput(total, result, measured)

    return templates.ClientWorkProcess(initialize, next_)


def composed():
    """The learning process."""
    update_type = client_update.type_signature.result[0].update
    optimizer = tff.learning.optimizers.build_sgdm(learning_rate=1.0)
    return templates.compose_learning_process(
        initial_weights,
        templates.build_broadcast_process(WEIGHTS),
        clipping_client_work(),
        tff.aggregators.MeanFactory().create(update_type, tff.TensorType(tf.float32)),
        templates.build_apply_optimizer_finalizer(optimizer, WEIGHTS),
    )


def main():
    """Trains some rounds; prints what was clipped and how the model does, and returns it."""
    source, _ = tff.simulation.datasets.emnist.load_data()
    clients = source.client_ids[:CLIENTS]
    data = [preprocessed(source.create_tf_dataset_for_client(client)) for client in clients]
    process = composed()
    print("next:", process.next.type_signature.formatted_representation())
    evaluation = tff.learning.algorithms.build_fed_eval(model_fn)
    state, evaluating, rounds = process.initialize(), evaluation.initialize(), []
    for number in range(1, ROUNDS + 1):
        state, metrics = process.next(state, data)
        evaluating = evaluation.set_model_weights(evaluating, process.get_model_weights(state))
        evaluating, found = evaluation.next(evaluating, data)
        now = found["client_work"]["eval"]["current_round_metrics"]
        rounds.append(OrderedDict(metrics["client_work"], loss=now["loss"]))
        print(f"round {number}:", {name: float(value) for name, value in rounds[-1].items()})
    return {
        "rounds": rounds,
        "metrics": list(metrics),
        "weights": process.get_model_weights(state).trainable,
    }


if __name__ == "__main__":
    main()
