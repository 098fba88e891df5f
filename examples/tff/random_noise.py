# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Random noise at the clients that is new for each client and round, and the same when a run is repeated.

TensorFlow code draws it from a seed that it is given: the round's number from the server, and the client's
own number. What hides a state of its own is refused, as each client would change it for the next one; and
one seed for everybody gives everybody the same noise, which then does not average out.

python examples/tff/random_noise.py
"""

from collections import OrderedDict

import numpy as np
import tensorflow as tf

import foedus.tff as tff

SIZE, DEVIATION, ROUNDS, CLIENTS = 100, 2.0, 3, 8
VALUES = tff.TensorType(tf.float32, [SIZE])
CLIENT = tff.to_type(OrderedDict(number=tff.TensorType(tf.int32), values=VALUES))


@tff.tf_computation(tf.int32, CLIENT)
def own_noise(round_number, client):
    """A client's values with noise from the seed (round, client)."""
    seed = tf.stack([round_number, client["number"]])
    return client["values"] + tf.random.stateless_normal([SIZE], seed, stddev=DEVIATION)


@tff.tf_computation(tf.int32, CLIENT)
def equal_noise(round_number, client):
    """The same by a generator that begins at the same place at every client."""
    generator = tf.random.Generator.from_seed(tf.cast(round_number, tf.int64))
    return client["values"] + generator.normal([SIZE], stddev=DEVIATION)


def build_mean(add_noise):
    """A round: the clients' noisy values, and their mean."""

    @tff.federated_computation(tff.type_at_server(tf.int32), tff.type_at_clients(CLIENT))
    def noisy_mean(round_number, clients):
        noisy = tff.federated_map(add_noise, (tff.federated_broadcast(round_number), clients))
        return tff.federated_mean(noisy), noisy

    return noisy_mean


def from_a_global_generator():
    """Refused: a generator outside of the function goes on from client to client."""
    generator = tf.random.Generator.from_seed(1)
    return tff.tf_computation(lambda values: values + generator.normal([SIZE]), VALUES)


def from_a_hidden_state():
    """Refused: nothing that the function is given determines what it draws."""
    return tff.tf_computation(lambda values: values + tf.random.normal([SIZE]), VALUES)


def refusal(attempt):
    """The error's text."""
    try:
        attempt()
    except TypeError as error:
        return str(error)
    return "not refused"


def main():
    """Draws noise for some rounds, twice; prints how much is left in the mean, and returns everything."""
    clients = [OrderedDict(number=i, values=np.full([SIZE], i, np.float32)) for i in range(CLIENTS)]
    own, equal = build_mean(own_noise), build_mean(equal_noise)
    rounds = [own(number, clients) for number in range(ROUNDS)]
    again = [own(number, clients) for number in range(ROUNDS)]
    shared = equal(0, clients)
    exact = np.mean([client["values"] for client in clients], axis=0)
    print(f"the deviation of one client's noise is {DEVIATION}; what is left of it in the mean:")
    for number, (mean, _) in enumerate(rounds):
        print(f"round {number}: {np.std(mean - exact):.3f} with a seed for each client")
    print(f"{np.std(shared[0] - exact):.3f} with one seed for all")
    refused = [refusal(attempt) for attempt in (from_a_global_generator, from_a_hidden_state)]
    print("\n\n".join(["", *refused]))
    return {"rounds": rounds, "again": again, "shared": shared, "refused": refused}


if __name__ == "__main__":
    main()
