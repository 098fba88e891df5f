# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A program for TFF that prints what it finds as JSON; Keras is on TensorFlow in its process."""

import json
import time

import numpy as np
import tensorflow as tf

import foedus.tff as tff
from foedus.tff.learning._keras_optimizers import optimizer_of

FACTS = {"backend": tf.keras.config.backend()}
ROWS = {"a": 5, "b": 2, "c": 0}
rng = np.random.default_rng(0)
DATA = {
    c: (rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(n, 1)).astype(np.float32))
    for c, n in ROWS.items()
}
FACTS["data"] = [[x.tolist(), y.tolist()] for x, y in DATA.values()]
datasets = [tf.data.Dataset.from_tensor_slices(pair).batch(2) for pair in DATA.values()]
SPEC = datasets[0].element_spec


def keras_model():
    return tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])


def wrapped(model):
    return tff.learning.models.from_keras_model(
        model,
        loss=tf.keras.losses.MeanSquaredError(),
        input_spec=SPEC,
        metrics=[tf.keras.metrics.MeanAbsoluteError()],
    )


def model_fn():
    return wrapped(keras_model())


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return np.asarray(value).tolist()


def described(process, rounds=2):
    state = process.initialize()
    outputs = [process.next(state, datasets)]
    for _ in range(rounds - 1):
        outputs.append(process.next(outputs[-1].state, datasets))
    return {
        "initialize": str(process.initialize.type_signature),
        "next": str(process.next.type_signature),
        "weights": [plain(output.state.global_model_weights) for output in outputs],
        "states": [plain(output.state) for output in outputs],
        "metrics": [plain(output.metrics) for output in outputs],
        "containers": [type(state).__name__, type(state.global_model_weights).__name__],
    }


def refusal(build):
    try:
        build()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


SGD = tff.learning.optimizers.build_sgdm(0.1)
algorithms = tff.learning.algorithms
fed_avg = algorithms.build_weighted_fed_avg(model_fn, client_optimizer_fn=SGD)
FACTS["weighted fed avg"] = described(fed_avg)
FACTS["unweighted fed avg"] = described(algorithms.build_unweighted_fed_avg(model_fn, SGD))
FACTS["fed prox"] = described(
    algorithms.build_weighted_fed_prox(model_fn, 0.5, SGD, use_experimental_simulation_loop=True)
)
FACTS["fed sgd"] = described(algorithms.build_fed_sgd(model_fn))
FACTS["fed eval"] = described(algorithms.build_fed_eval(model_fn))

# A process of 2021 with optimizers of Keras, and evaluation with what it learned.
trainer = tff.learning.build_federated_averaging_process(
    model_fn,
    client_optimizer_fn=lambda: tf.keras.optimizers.SGD(0.1),
    server_optimizer_fn=lambda: tf.keras.optimizers.Adam(0.1),
)
state = trainer.initialize()
state, metrics = trainer.next(state, datasets)
evaluation = tff.learning.build_federated_evaluation(model_fn)
evaluated = evaluation(state.model, datasets)
FACTS["2021"] = {
    "initialize": str(trainer.initialize.type_signature),
    "next": str(trainer.next.type_signature),
    "metrics": plain(metrics),
    "evaluation": str(evaluation.type_signature),
    "evaluated": plain(evaluated),
    "optimizer_state": plain(state.optimizer_state),
}
keras = keras_model()
state.model.assign_weights_to(keras)
features, labels = (np.concatenate(columns) for columns in zip(*DATA.values(), strict=True))
FACTS["2021"]["keras loss"] = float(np.mean(np.square(keras(features) - labels)))
FACTS["of a model"] = plain(tff.learning.models.ModelWeights.from_model(keras)) == plain(state.model)

# Weights, hyperparameters, clients by name.
start = fed_avg.initialize()
moved = fed_avg.set_model_weights(start, tff.learning.models.ModelWeights.from_model(keras))
FACTS["set weights"] = plain(fed_avg.get_model_weights(moved)) == plain(state.model)
hparams = fed_avg.get_hparams(start)
hparams["finalizer"]["learning_rate"] = np.float32(0.0)
still = fed_avg.next(fed_avg.set_hparams(start, hparams), datasets).state
FACTS["no step"] = plain(still.global_model_weights) == plain(start.global_model_weights)
by_name = fed_avg.next(start, dict(zip(DATA, datasets, strict=True)))
FACTS["by name"] = plain(by_name.state) == FACTS["weighted fed avg"]["states"][0]

# A data set is read once.
reads = []


def noted(x, y):
    tf.py_function(lambda: reads.append(1), [], [])
    return x, y


counted = [dataset.map(noted) for dataset in datasets]
for _ in range(3):
    fed_avg.next(start, counted)
FACTS["reads"] = len(reads)

# An update that is not finite.
infinite = np.full((2, 3), np.inf, np.float32)
broken = tf.data.Dataset.from_tensor_slices((infinite, np.ones((2, 1), np.float32)))
alone = fed_avg.next(start, [broken.batch(2)])
FACTS["not finite"] = [plain(alone.metrics["finalizer"]), plain(alone.state) == plain(start)]

# Keras' own steps beside those of TFF's builders.

OPTIMIZERS = {
    "SGD": {"learning_rate": 0.1},
    "SGD with momentum": {"learning_rate": 0.1, "momentum": 0.9},
    "SGD of Nesterov": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"learning_rate": 0.1},
    "AdamW": {"learning_rate": 0.1, "weight_decay": 0.01},
    "Adagrad": {"learning_rate": 0.1},
    "RMSprop": {"learning_rate": 0.1},
    "RMSprop with momentum": {"learning_rate": 0.1, "momentum": 0.5},
}
FACTS["optimizers"] = {}
for name, options in OPTIMIZERS.items():
    cls = getattr(tf.keras.optimizers, name.split()[0])
    theirs, ours = cls(**options), optimizer_of(lambda cls=cls, options=options: cls(**options), "it")
    variables = [tf.keras.Variable([1.0, -2.0]), tf.keras.Variable([[0.5]])]
    weights = [np.array([1.0, -2.0], np.float32), np.array([[0.5]], np.float32)]
    slots = ours.initialize([tf.TensorSpec(w.shape, tf.float32) for w in weights])
    for step in range(3):
        gradients = [np.array([0.3 + step, -1.0], np.float32), np.array([[2.0 - step]], np.float32)]
        theirs.apply(gradients, variables)
        slots, weights = ours.next(slots, weights, gradients)
    FACTS["optimizers"][name] = [plain([v.numpy() for v in variables]), plain(weights)]

# Functional models.
functional = tff.learning.models.functional_model_from_keras(
    keras_model,
    tf.keras.losses.MeanSquaredError(),
    SPEC,
    lambda: {"mae": tf.keras.metrics.MeanAbsoluteError()},
)
FACTS["functional from Keras"] = described(algorithms.build_weighted_fed_avg(functional, SGD))


def predict(weights, x, training):
    (kernel, bias), _ = weights
    return tf.matmul(x, kernel) + bias


by_hand = tff.learning.models.FunctionalModel(
    initial_weights=((np.ones((3, 1), np.float32), np.zeros(1, np.float32)), ()),
    predict_on_batch_fn=predict,
    loss_fn=lambda output, label, sample_weight=None: tf.reduce_mean(tf.square(output - label)),
    input_spec=SPEC,
)
FACTS["functional by hand"] = described(
    algorithms.build_weighted_fed_avg(by_hand, SGD, metrics_aggregator=tff.learning.metrics.sum_then_finalize)
)
type_of = tff.learning.models.weights_type_from_model
FACTS["weights type"] = [str(type_of(model)) for model in (model_fn, functional, by_hand)]
FACTS["predictions"] = [
    plain(model.predict_on_batch(model.initial_weights, DATA["a"][0])) for model in (functional, by_hand)
]
replaced = tff.learning.state_with_new_model_weights(state, keras.trainable_variables, [])
FACTS["state of 2021"] = plain(replaced.model) == plain(state.model)

outside = keras_model()


def keras_sgd(**options):
    return tf.keras.optimizers.SGD(0.1, **options)


class Legacy:
    """What a model of Keras 2 looks like."""


Legacy.__module__ = "tf_keras.src.engine.sequential"


flat = tf.data.Dataset.from_tensor_slices((np.ones((2, 4), np.float32), np.ones((2, 1), np.float32))).batch(2)
FACTS["refused"] = {
    "a model outside": refusal(lambda: algorithms.build_weighted_fed_avg(lambda: wrapped(outside), SGD)),
    "an optimizer": refusal(lambda: algorithms.build_weighted_fed_avg(model_fn, keras_sgd())),
    "no optimizer": refusal(lambda: algorithms.build_weighted_fed_avg(model_fn, 0.1)),
    "an odd optimizer": refusal(
        lambda: algorithms.build_weighted_fed_avg(model_fn, tf.keras.optimizers.ScheduleFreeAdamW)
    ),
    "Keras 2": refusal(lambda: wrapped(Legacy())),
    "no model": refusal(lambda: algorithms.build_weighted_fed_avg(lambda: 3, SGD)),
    "an instance": refusal(lambda: algorithms.build_weighted_fed_avg(model_fn(), SGD)),
    "a spec": refusal(
        lambda: tff.learning.models.from_keras_model(keras_model(), "mse", tf.TensorSpec([None, 3]))
    ),
    "a weighting": refusal(lambda: algorithms.build_weighted_fed_avg(model_fn, SGD, client_weighting=3)),
    "other elements": refusal(lambda: fed_avg.next(start, [datasets[0], flat])),
    "no end": refusal(lambda: fed_avg.next(start, [datasets[0].repeat()])),
    "metrics": refusal(lambda: algorithms.build_weighted_fed_avg(model_fn, SGD, metrics_aggregator=1)),
    "a strength": refusal(lambda: algorithms.build_weighted_fed_prox(model_fn, -1.0, SGD)),
}
FACTS["seconds"] = time.process_time()
print(json.dumps(FACTS))
