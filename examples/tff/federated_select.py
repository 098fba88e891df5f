# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A model too large to send: each client asks for the rows of its own words with ``federated_select``.

The model says of a short text whether its writer likes it: the weights of its words add up to a score. A
client fetches the weights of at most six words, trains on its own texts, and what changed is put back into
its place and averaged over the clients that changed it.

python examples/tff/federated_select.py
"""

from collections import OrderedDict

import numpy as np
import tensorflow as tf

import foedus.tff as tff

WORDS = ["rain", "sun", "snow", "wind", "sea", "hills", "long", "walk", "city", "noise", "bread", "tea"]
ROWS = len(WORDS) + 1
"""A weight for each word, and one more that no word has: clients with few words fill up with it."""
MOST_WORDS, ROUNDS, RATE = 6, 3, 0.5

TEXTS = [
    (["long walk sun", "rain wind", "sun sea"], [1.0, 0.0, 1.0]),
    (["city noise", "snow hills walk", "noise"], [0.0, 1.0, 0.0]),
    (["bread tea", "rain tea"], [1.0, 1.0]),
]

TEXT = OrderedDict(text=tff.TensorType(tf.string), liked=tff.TensorType(tf.float32))
DATA = tff.SequenceType(TEXT)
KEYS = tff.TensorType(tf.int32, [MOST_WORDS])
MODEL = tff.TensorType(tf.float32, [ROWS])
SLICES = tff.SequenceType(tff.TensorType(tf.float32))


def numbers_of(text):
    """The words' places in the model; unknown words have that of no word."""
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(len(WORDS))), default_value=len(WORDS)
    )
    return table.lookup(tf.strings.split(text))


@tff.tf_computation(DATA)
def keys_of(data):
    """Which rows a client asks for: those of its words, in their order in the model."""

    def count(seen, example):
        numbers = numbers_of(example["text"])
        return seen + tf.math.unsorted_segment_sum(tf.ones_like(numbers), numbers, ROWS)

    seen = data.reduce(tf.zeros([ROWS], tf.int32), count)
    own = tf.cast(tf.where(seen[:-1] > 0)[:MOST_WORDS, 0], tf.int32)
    filled = tf.pad(own, [[0, MOST_WORDS - tf.shape(own)[0]]], constant_values=len(WORDS))
    return tf.ensure_shape(filled, [MOST_WORDS])


@tff.tf_computation(MODEL, tf.int32)
def select_row(model, key):
    """The row of one key: the server does this for each key of each client."""
    return tf.gather(model, key)


def trained(keys, rows, data):
    """A client's rows after one step for each of its texts."""

    def step(rows, example):
        here = tf.reduce_any(numbers_of(example["text"])[:, None] == keys[None, :], axis=0)
        present = tf.cast(here & (keys < len(WORDS)), tf.float32)
        score = tf.sigmoid(tf.reduce_sum(rows * present))
        return rows - RATE * (score - example["liked"]) * present

    return data.reduce(rows, step)


@tff.tf_computation(KEYS, SLICES, DATA)
def client_update(keys, slices, data):
    """What a client sends: the change of each row and whether it has the row, in the shape of the model."""
    rows = tf.ensure_shape(slices.batch(MOST_WORDS).get_single_element(), [MOST_WORDS])
    change, asked = trained(keys, rows, data) - rows, tf.cast(keys < len(WORDS), tf.float32)
    return OrderedDict(
        change=tf.math.unsorted_segment_sum(change, keys, ROWS),
        clients=tf.math.unsorted_segment_sum(asked, keys, ROWS),
    )


@tff.tf_computation(MODEL, client_update.type_signature.result)
def server_update(model, total):
    """The model after the mean change of each row; a row that nobody asked for stays."""
    return model + tf.math.divide_no_nan(total["change"], total["clients"])


def build_round(select):
    """A round of training with one of the two ways to select."""

    @tff.federated_computation(tff.type_at_server(MODEL), tff.type_at_clients(DATA))
    def train(model, data):
        keys = tff.federated_map(keys_of, data)
        slices = select(keys, tff.federated_value(ROWS, tff.SERVER), model, select_row)
        updates = tff.federated_map(client_update, (keys, slices, data))
        return tff.federated_map(server_update, (model, tff.federated_sum(updates))), keys

    return train


def client_data(texts, liked):
    """A client's data set."""
    return tf.data.Dataset.from_tensor_slices(OrderedDict(text=texts, liked=liked))


def main():
    """Trains some rounds; prints what clients asked for and the model, and returns them."""
    data = [client_data(texts, liked) for texts, liked in TEXTS]
    in_the_open, in_secret = build_round(tff.federated_select), build_round(tff.federated_secure_select)
    print(in_the_open.type_signature)
    model = start = np.zeros([ROWS], np.float32)
    keys = []
    for _ in range(ROUNDS):
        model, keys = in_the_open(model, data)
    for number, own in enumerate(keys):
        print(f"client {number} asked for", [WORDS[key] for key in own if key < len(WORDS)])
    print(f"each fetched {MOST_WORDS} of {ROWS} rows")
    for word, weight in zip(WORDS, model, strict=False):
        print(f"{word:6} {weight:+.3f}")
    first, _ = in_the_open(start, data)
    secret, _ = in_secret(start, data)
    return {"keys": keys, "model": model, "first": first, "secret": secret}


if __name__ == "__main__":
    main()
