# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Aggregators of your own: how the clients' values become one, with a state and with measurements.

A factory makes a process for a type of values. Its state stays at the server from round to round, its
measurements are what one wants to see, and what it does not do itself it leaves to an aggregator inside,
which in its turn may be any other. Two are written here, and put into TFF's mean and around it.

python examples/tff/custom_aggregators.py
"""

from collections import OrderedDict

import numpy as np
import tensorflow as tf

import foedus.tff as tff

FIRST_LIMIT, CLIPPED_SHARE, HEAVIEST = 2.0, 0.5, 4.0
ONE = tff.TensorType(np.float32)


@tff.tf_computation
def clip(value, limit):
    """A value scaled down to a norm that it may have at most, and 1 if that was needed."""
    parts, norm = tf.clip_by_global_norm(tf.nest.flatten(value), limit)
    return tf.nest.pack_sequence_as(value, parts), tf.cast(norm > limit, tf.float32)


@tff.tf_computation(ONE, ONE)
def next_limit(limit, share):
    """A limit that rises where more than half of the clients meet it, and falls where fewer do."""
    return limit * tf.pow(2.0, share - CLIPPED_SHARE)


class ClippingSumFactory(tff.aggregators.UnweightedAggregationFactory):
    """Clips each client's value to a limit that follows the clients' norms, then adds.

    Args:
        inner: What adds.
    """

    def __init__(self, inner=None):
        self._inner = inner or tff.aggregators.SumFactory()

    def create(self, value_type):
        """The process for one type of values."""
        inner = self._inner.create(value_type)

        @tff.federated_computation()
        def initialize():
            limit = tff.federated_value(np.float32(FIRST_LIMIT), tff.SERVER)
            return tff.federated_zip(OrderedDict(limit=limit, inner=inner.initialize()))

        @tff.federated_computation(initialize.type_signature.result, tff.type_at_clients(value_type))
        def next_(state, value):
            clipped = tff.federated_map(clip, (value, tff.federated_broadcast(state["limit"])))
            share = tff.federated_mean(clipped[1])
            added = inner.next(state["inner"], clipped[0])
            limit = tff.federated_map(next_limit, (state["limit"], share))
            return tff.templates.MeasuredProcessOutput(
                state=tff.federated_zip(OrderedDict(limit=limit, inner=added.state)),
                result=added.result,
                measurements=tff.federated_zip(
                    OrderedDict(limit=state["limit"], clipped_share=share, inner=added.measurements)
                ),
            )

        return tff.templates.AggregationProcess(initialize, next_)


@tff.tf_computation(ONE)
def limited(weight):
    """A weight of four at most."""
    return tf.minimum(weight, HEAVIEST)


class LimitedWeightFactory(tff.aggregators.WeightedAggregationFactory):
    """Keeps single clients from counting for too much in the aggregator inside.

    Args:
        inner: An aggregator that takes weights.
    """

    def __init__(self, inner):
        self._inner = inner

    def create(self, value_type, weight_type):
        """The process for one type of values and of weights."""
        inner = self._inner.create(value_type, weight_type)
        state_type = inner.initialize.type_signature.result

        @tff.federated_computation(
            state_type, tff.type_at_clients(value_type), tff.type_at_clients(weight_type)
        )
        def next_(state, value, weight):
            return inner.next(state, value, tff.federated_map(limited, weight))

        return tff.templates.AggregationProcess(inner.initialize, next_)


def run(process, *arguments):
    """Two rounds with the same values; prints and returns what each gives."""
    first = process.next(process.initialize(), *arguments)
    outputs = [first, process.next(first.state, *arguments)]
    for output in outputs:
        print("result", output.result, "measured", output.measurements)
    return outputs


def main():
    """Adds clipped values, then averages them by limited weights; returns the outputs."""
    value_type = tff.to_type(OrderedDict(kernel=tff.TensorType(np.float32, [2]), bias=np.float32))
    rows = [([3.0, 0.0], 4.0), ([0.0, 1.0], 0.0), ([-6.0, 2.0], 3.0)]
    values = [OrderedDict(kernel=np.array(k, np.float32), bias=np.float32(b)) for k, b in rows]
    weights = [1.0, 2.0, 100.0]
    total = ClippingSumFactory().create(value_type)
    print("a sum:", total.next.type_signature.formatted_representation())
    sums = run(total, values)
    mean = LimitedWeightFactory(tff.aggregators.MeanFactory(ClippingSumFactory())).create(value_type, ONE)
    print("a mean by weight, made of it:", mean.is_weighted)
    means = run(mean, values, weights)
    return {"sums": sums, "means": means, "values": values, "weights": weights}


if __name__ == "__main__":
    main()
