# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A program for TFF that composes learning processes of its own parts; prints what it finds as JSON."""

import json
from collections import OrderedDict
from typing import Any

import numpy as np
import tensorflow as tf

import foedus.tff as tff

ROWS = {"a": 5, "b": 2, "c": 0}
rng = np.random.default_rng(7)
DATA = {
    c: (rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(n, 1)).astype(np.float32))
    for c, n in ROWS.items()
}
datasets = [tf.data.Dataset.from_tensor_slices(pair).batch(2) for pair in DATA.values()]
SPEC = datasets[0].element_spec
FACTS: dict[str, Any] = {"data": [[x.tolist(), y.tolist()] for x, y in DATA.values()]}
templates, models = tff.learning.templates, tff.learning.models
SGD = tff.learning.optimizers.build_sgdm(0.1)
SERVER = tff.learning.optimizers.build_sgdm(1.0, momentum=0.5)


def model_fn():
    keras = tf.keras.Sequential(
        [tf.keras.Input((3,)), tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    return models.from_keras_model(keras, tf.keras.losses.MeanSquaredError(), SPEC)


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return np.asarray(value).tolist()


def described(process, rounds=3):
    state, outputs = process.initialize(), []
    for _ in range(rounds):
        outputs.append(process.next(state, datasets))
        state = outputs[-1].state
    return {
        "type": str(process.next.type_signature),
        "states": [plain(output.state) for output in outputs],
        "metrics": [plain(output.metrics) for output in outputs],
        "hparams": plain(process.get_hparams(state)),
    }


def refusal(build):
    try:
        build()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


@tff.tensorflow.computation
def initial_weights():
    return models.ModelWeights.from_model(model_fn())


weights_type = models.weights_type_from_model(model_fn)
update_type = weights_type.trainable
distributor = templates.build_broadcast_process(weights_type)
client_work = templates.build_model_delta_client_work(
    model_fn, SGD, tff.learning.ClientWeighting.NUM_EXAMPLES, tff.learning.metrics.sum_then_finalize
)
aggregator = tff.aggregators.MeanFactory().create(update_type, tff.to_type(np.float32))
finalizer = templates.build_apply_optimizer_finalizer(SERVER, weights_type)
composed = templates.compose_learning_process(
    initial_weights, distributor, client_work, aggregator, finalizer
)
built = tff.learning.algorithms.build_weighted_fed_avg(model_fn, SGD, SERVER)
FACTS["composed"], FACTS["built"] = described(composed), described(built)

# Other hyperparameters, and other weights.
start = composed.initialize()
hparams = composed.get_hparams(start)
hparams["client_work"]["learning_rate"] = np.float32(0.0)
still = composed.next(composed.set_hparams(start, hparams), datasets).state
FACTS["no client step"] = plain(still.global_model_weights) == plain(start.global_model_weights)
moved = composed.set_model_weights(start, models.ModelWeights([np.full((3, 1), 2, np.float32)], []))
FACTS["moved"] = plain(composed.get_model_weights(moved))

# A client work in TensorFlow that clips gradients, as programs of TFF write it.
data_type = tff.SequenceType(tff.to_type(SPEC))
CLIP = 0.5


@tf.function
def client_update(model, dataset, server_weights, optimizer):
    weights = models.ModelWeights.from_model(model)
    tf.nest.map_structure(lambda x, y: x.assign(y), list(weights), list(server_weights))
    state = optimizer.initialize([tf.TensorSpec(v.shape, v.dtype) for v in weights.trainable])
    count = tf.constant(0.0)
    for batch in dataset:
        with tf.GradientTape() as tape:
            output = model.forward_pass(batch)
        gradients = tape.gradient(output.loss, weights.trainable)
        clipped, _ = tf.clip_by_global_norm(gradients, CLIP)
        state, updated = optimizer.next(state, weights.trainable, clipped)
        tf.nest.map_structure(lambda x, y: x.assign(y), weights.trainable, updated)
        count += tf.cast(output.num_examples, tf.float32)
    update = tf.nest.map_structure(lambda x, y: y - x, weights.trainable, server_weights.trainable)
    return templates.ClientResult(update=update, update_weight=count)


class Linear(models.VariableModel):
    """The same model, written by hand."""

    def __init__(self):
        self._kernel = tf.Variable(tf.ones((3, 1)), trainable=True)

    @property
    def trainable_variables(self):
        return [self._kernel]

    @property
    def non_trainable_variables(self):
        return []

    @property
    def input_spec(self):
        return SPEC

    def forward_pass(self, batch_input, training=True):
        x, y = batch_input
        predictions = tf.matmul(x, self._kernel)
        loss = tf.reduce_mean(tf.square(predictions - y))
        return models.BatchOutput(loss, predictions, tf.shape(x)[0])


@tff.tensorflow.computation(weights_type, data_type)
def clipping(weights, dataset):
    return client_update(Linear(), dataset, weights, SGD)


@tff.federated_computation
def nothing():
    return tff.federated_value((), tff.SERVER)


@tff.federated_computation(
    nothing.type_signature.result, tff.type_at_clients(weights_type), tff.type_at_clients(data_type)
)
def clipping_work(state, weights, data):
    result = tff.federated_map(clipping, (weights, data))
    return tff.templates.MeasuredProcessOutput(state, result, tff.federated_value((), tff.SERVER))


own_work = templates.ClientWorkProcess(nothing, clipping_work)


# A finalizer that goes half of the way, and counts rounds.
@tff.federated_computation
def no_rounds():
    return tff.federated_value(0, tff.SERVER)


@tff.federated_computation(
    no_rounds.type_signature.result, tff.type_at_server(weights_type), tff.type_at_server(update_type)
)
def halfway(state, weights, update):
    new = tff.federated_map(
        lambda w, u: models.ModelWeights([a - 0.5 * b for a, b in zip(w.trainable, u, strict=True)], []),
        (weights, update),
    )
    rounds = tff.federated_map(lambda n: n + 1, state)
    return tff.templates.MeasuredProcessOutput(rounds, new, rounds)


own_finalizer = templates.FinalizerProcess(
    no_rounds, halfway, get_hparams_fn=lambda state: OrderedDict(rounds=state)
)
FACTS["clipped, halfway"] = described(
    templates.compose_learning_process(initial_weights, distributor, own_work, aggregator, own_finalizer)
)


def too_short(state, update):
    norm = tf.linalg.global_norm(update)
    return norm < 0.08, OrderedDict(norm=norm)


FACTS["rejecting"] = described(
    templates.compose_learning_process(
        initial_weights,
        distributor,
        client_work,
        tff.aggregators.UnweightedMeanFactory().create(update_type),
        templates.build_apply_optimizer_finalizer(SERVER, weights_type, too_short),
    )
)
functional = models.FunctionalModel(
    initial_weights=([np.ones((3, 1), np.float32)], []),
    predict_on_batch_fn=lambda weights, x, training: tf.matmul(x, weights[0][0]),
    loss_fn=lambda output, label, sample_weight=None: tf.reduce_mean(tf.square(output - label)),
    input_spec=SPEC,
)
functional_work = templates.build_functional_model_delta_client_work(model=functional, optimizer=SGD)
FACTS["functional"] = described(
    templates.compose_learning_process(initial_weights, distributor, functional_work, aggregator, finalizer)
)

# Parts that do not fit.
other = tff.to_type([(np.float32, [4])])
other_aggregator = tff.aggregators.MeanFactory().create(other, tff.to_type(np.float32))
wide = tff.to_type(models.ModelWeights([(np.float32, [4])], []))


def composing(**parts):
    given = {
        "initial_model_weights_fn": initial_weights,
        "model_weights_distributor": distributor,
        "client_work": client_work,
        "model_update_aggregator": aggregator,
        "model_finalizer": finalizer,
    }
    return refusal(lambda: templates.compose_learning_process(**(given | parts)))


@tff.federated_computation(nothing.type_signature.result, tff.type_at_server(np.int32))
def at_the_server(state, value):
    return tff.templates.MeasuredProcessOutput(state, value, state)


@tff.federated_computation(nothing.type_signature.result, tff.type_at_clients(np.int32))
def too_few(state, value):
    return tff.templates.MeasuredProcessOutput(state, value, state)


@tff.federated_computation(
    nothing.type_signature.result, tff.type_at_clients(np.int32), tff.type_at_clients(np.int32)
)
def no_data(state, weights, data):
    return tff.templates.MeasuredProcessOutput(state, data, state)


@tff.federated_computation(
    nothing.type_signature.result, tff.type_at_clients(np.int32), tff.type_at_clients(data_type)
)
def no_result(state, weights, data):
    return tff.templates.MeasuredProcessOutput(state, weights, state)


@tff.federated_computation(
    nothing.type_signature.result, tff.type_at_server(np.int32), tff.type_at_server(np.float32)
)
def other_weights(state, weights, update):
    return tff.templates.MeasuredProcessOutput(state, update, state)


@tff.federated_computation(nothing.type_signature.result, tff.type_at_clients(data_type))
def no_output(state, data):
    return state, state


@tff.tf_computation(tff.SequenceType(SPEC))
def sums_of(dataset):
    """What a model reports that is first used inside a loop."""
    model = model_fn()
    for batch in dataset:
        model.forward_pass(batch, training=False)
    return model.report_local_unfinalized_metrics()


FACTS["in a loop"] = plain(sums_of(datasets[0]))
FACTS["refused"] = {
    "aggregator": composing(model_update_aggregator=other_aggregator),
    "finalizer": composing(model_finalizer=templates.build_apply_optimizer_finalizer(SERVER, wide)),
    "distributor": composing(model_weights_distributor=templates.build_broadcast_process(wide)),
    "initial": composing(initial_model_weights_fn=model_fn),
    "placed": composing(initial_model_weights_fn=nothing),
    "no part": composing(client_work=distributor),
    "at the server": refusal(lambda: templates.DistributionProcess(nothing, at_the_server)),
    "too few": refusal(lambda: templates.ClientWorkProcess(nothing, too_few)),
    "no data": refusal(lambda: templates.ClientWorkProcess(nothing, no_data)),
    "no result": refusal(lambda: templates.ClientWorkProcess(nothing, no_result)),
    "other weights": refusal(lambda: templates.FinalizerProcess(nothing, other_weights)),
    "no output": refusal(lambda: templates.LearningProcess(nothing, no_output, None, None)),
    "no weights": refusal(lambda: templates.build_apply_optimizer_finalizer(SERVER, np.float32)),
    "no functional": refusal(
        lambda: templates.build_functional_model_delta_client_work(model=model_fn, optimizer=SGD)
    ),
}
print(json.dumps(FACTS))
