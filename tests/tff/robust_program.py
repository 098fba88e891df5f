# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A program for TFF that trains with a robust mean and prints what it finds; Keras is on TensorFlow."""

import json
from collections import OrderedDict

import numpy as np
import tensorflow as tf

import foedus.tff as tff

ROWS = {"a": 3, "b": 12, "c": 6, "broken": 4}
ROUNDS = 3
rng = np.random.default_rng(0)
DATA = []
for name, count in ROWS.items():
    x = rng.normal(size=(count, 2)).astype(np.float32)
    y = x @ np.array([[10.0], [-20.0]], np.float32) + rng.normal(size=(count, 1)).astype(np.float32)
    DATA.append((x, y * 1000 if name == "broken" else y))
datasets = [tf.data.Dataset.from_tensor_slices(pair).batch(100) for pair in DATA]


def model_fn():
    dense = tf.keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)
    return tff.learning.models.from_keras_model(
        tf.keras.Sequential([tf.keras.Input((2,)), dense]),
        loss=tf.keras.losses.MeanSquaredError(),
        input_spec=datasets[0].element_spec,
    )


def measured(factory):
    return tff.aggregators.add_measurements(
        factory, client_measurement_fn=lambda value, weight: OrderedDict(mass=tff.federated_sum(weight))
    )


process = tff.learning.algorithms.build_weighted_fed_avg(
    model_fn,
    client_optimizer_fn=tff.learning.optimizers.build_sgdm(0.1),
    model_aggregator=tff.learning.robust_aggregator(debug_measurements_fn=measured),
)
state, rounds = process.initialize(), []
for _ in range(ROUNDS):
    output = process.next(state, datasets)
    state, found = output.state, output.metrics["aggregator"]
    rounds.append(
        {
            "weights": np.asarray(state.global_model_weights.trainable[0]).ravel().tolist(),
            "zeroing_norm": float(found["zeroing_norm"]),
            "zeroed": int(found["zeroed_count"]),
            "clipping_norm": float(found["zeroing"]["clipping_norm"]),
            "clipped": int(found["zeroing"]["clipped_count"]),
            "mass": float(found["zeroing"]["clipping"]["mass"]),
        }
    )
print(
    json.dumps(
        {
            "data": [[x.tolist(), y.ravel().tolist()] for x, y in DATA],
            "rounds": rounds,
            "state": str(process.initialize.type_signature.result.member.aggregator),
            "metrics": str(process.next.type_signature.result.metrics.member.aggregator),
        }
    )
)
