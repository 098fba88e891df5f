# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Trains one client with each optimizer of Keras, by federated averaging and by Keras itself; prints JSON.

Keras is on TensorFlow in its process.
"""

import json

import numpy as np
import tensorflow as tf

import foedus as fd
import foedus.tff as tff
from foedus import learning

given = tf.keras.optimizers
generator = np.random.default_rng(0)
X, Y = (generator.normal(size=(10, columns)).astype(np.float32) for columns in (3, 1))
DATA = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
LOSS = tf.keras.losses.MeanSquaredError

PLAIN = "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD"
MADE = {name: lambda name=name: getattr(given, name)(0.1) for name in PLAIN.split()} | {
    "a clipped norm": lambda: given.SGD(0.1, clipnorm=0.5),
    "a schedule": lambda: given.Adam(given.schedules.ExponentialDecay(0.1, 1, 0.5)),
    "accumulated gradients": lambda: given.SGD(0.1, gradient_accumulation_steps=2),
    "averages": lambda: given.Nadam(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
}


def keras_model():
    return tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])


def by_keras(make):
    """The weights after five steps."""
    model, optimizer = keras_model(), make()
    for x, y in DATA:
        with tf.GradientTape() as tape:
            loss = LOSS()(y, model(x, training=True))
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
    return [v.numpy() for v in model.trainable_variables]


def model_fn():
    return tff.learning.models.from_keras_model(keras_model(), loss=LOSS(), input_spec=DATA.element_spec)


def by_tff(client, server=lambda: given.SGD(1.0)):
    process = tff.learning.algorithms.build_weighted_fed_avg(model_fn, client, server)
    state = process.next(process.initialize(), [DATA]).state
    return state.global_model_weights.trainable


def by_foedus(make):
    model = learning.models.from_keras(
        keras_model, example={"x": ("float32", (3,)), "y": ("float32", (1,))}, loss=LOSS(), label="y"
    )
    process = learning.algorithms.fed_avg(
        model,
        client_optimizer=learning.models.optimizer_from_keras(make()),
        batches=learning.Batches(size=2, epochs=1, shuffle=False),
    )
    with fd.use(fd.runtime.local()):
        state = process.next(process.initialize(0), {"client": {"x": X, "y": Y}}).state
    return [v.numpy() for v in process.model_of(state).trainable_variables]


def at_the_server(make):
    """A step of the server, by TFF and by Keras: the client's change is a gradient that points back."""
    client = MADE["SGD"]
    before, after = [v.numpy() for v in keras_model().trainable_variables], by_keras(client)
    model = keras_model()
    make().apply([b - a for b, a in zip(before, after, strict=True)], model.trainable_variables)
    return by_tff(client, make), [v.numpy() for v in model.trainable_variables]


def plain(weights):
    return [float(number) for weight in weights for number in np.ravel(weight)]


found = {"backend": tf.keras.config.backend(), "names": list(MADE)}
found["by keras"] = {name: plain(by_keras(make)) for name, make in MADE.items()}
found["by tff"] = {name: plain(by_tff(make)) for name, make in MADE.items()}
found["by foedus"] = {name: plain(by_foedus(MADE[name])) for name in ("Nadam", "Lamb", "averages")}
found["at the server"] = [plain(weights) for weights in at_the_server(MADE["Nadam"])]
try:
    by_tff(given.ScheduleFreeAdamW)
except NotImplementedError as error:
    found["refused"] = str(error)
print(json.dumps(found))
