# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Gives builders and processes what they refuse; prints the errors as JSON."""

import json
from collections import OrderedDict

import numpy as np
import tensorflow as tf

import foedus.tff as tff

optimizers, keras_optimizers = tff.learning.optimizers, tf.keras.optimizers


def batches(width, label="float32"):
    slices = (np.ones((4, width), np.float32), np.ones((4, 1), label))
    return tf.data.Dataset.from_tensor_slices(slices).batch(2)


SPEC = batches(3).element_spec


def keras_model():
    return tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])


def wrapped(model):
    return tff.learning.models.from_keras_model(model, tf.keras.losses.MeanSquaredError(), SPEC)


def model_fn():
    return wrapped(keras_model())


def scaled_model_fn():
    scale = tf.keras.layers.experimental.preprocessing.Rescaling(2.0)
    return wrapped(tf.keras.Sequential([tf.keras.Input((3,)), scale, tf.keras.layers.Dense(1)]))


def built(client, server=None, model=model_fn):
    return tff.learning.algorithms.build_weighted_fed_avg(model, client, server)


def refused(attempt):
    try:
        attempt()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


sgd = optimizers.build_sgdm(0.1)
process = built(sgd)
state = process.initialize()
outside = keras_model()
instance = keras_optimizers.Adam(0.1)


def run(datasets):
    return lambda: process.next(state, datasets)


ATTEMPTS = {
    "another width": run([batches(3), batches(4)]),
    "another label": run({"anna": batches(3), "bert": batches(3, "int32")}),
    "other fields": run([batches(3).map(lambda x, y: OrderedDict(x=x, y=y)), batches(3).map(lambda x, y: x)]),
    "no batches": run([batches(3).unbatch()]),
    "a model outside": lambda: built(sgd, model=lambda: wrapped(outside)),
    "a model": lambda: built(sgd, model=model_fn()),
    "an instance": lambda: built(instance),
    "an instance at the server": lambda: built(sgd, instance),
    "an instance of 2021": lambda: tff.learning.build_federated_averaging_process(model_fn, instance),
    "legacy": lambda: built(lambda: keras_optimizers.legacy.SGD(0.1)),
    "experimental": lambda: built(sgd, lambda: keras_optimizers.experimental.SGD(0.1)),
    "lr": lambda: built(lambda: keras_optimizers.SGD(lr=0.1)),
    "lr of a schedule": lambda: built(
        lambda: keras_optimizers.SGD(keras_optimizers.schedules.ExponentialDecay(lr=0.1))
    ),
    "decay": lambda: built(lambda: keras_optimizers.Adam(0.1, decay=0.01)),
    "an experimental layer": lambda: built(sgd, model=scaled_model_fn),
    "another argument": lambda: built(lambda: keras_optimizers.SGD(rate=0.1)),
}
print(json.dumps({name: refused(attempt) for name, attempt in ATTEMPTS.items()}))
