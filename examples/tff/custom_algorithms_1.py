# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What a federated computation is, shown on the temperatures that weather stations measure.

Every value has a type, and the type says where it is: ``{float32}@CLIENTS`` is one number at each client,
``float32@SERVER`` one number at the server. Operators take values from one place to the other, and code in
TensorFlow works on them where they are. What does not fit together is refused before anything runs.

python examples/tff/custom_algorithms_1.py
"""

import numpy as np
import tensorflow as tf

import foedus.tff as tff

READING = tff.TensorType(np.float32)
READINGS = tff.SequenceType(READING)


@tff.federated_computation(tff.FederatedType(READING, tff.CLIENTS))
def mean_temperature(readings):
    """The mean over clients that have one reading each."""
    print("while it is traced, `readings` is", readings)
    return tff.federated_mean(readings)


@tff.tf_computation(READING, READING)
def exceeds(reading, threshold):
    """1 where a reading is above the threshold, else 0: local code, for one client."""
    return tf.cast(reading > threshold, tf.float32)


@tff.federated_computation(tff.type_at_clients(READING), tff.type_at_server(READING))
def share_above(readings, threshold):
    """The share of the clients whose reading is above a threshold that only the server knows at first."""
    return tff.federated_mean(tff.federated_map(exceeds, [readings, tff.federated_broadcast(threshold)]))


@tff.tf_computation(READINGS)
def mean_and_count(readings):
    """The mean of one client's readings, and how many there are."""
    total, count = readings.reduce((0.0, 0.0), lambda sums, reading: (sums[0] + reading, sums[1] + 1.0))
    return total / count, count


@tff.federated_computation(tff.type_at_clients(READINGS))
def mean_of_stations(readings):
    """The mean in which each client counts the same, and the one in which each reading does."""
    local = tff.federated_map(mean_and_count, readings)
    return tff.federated_mean(local[0]), tff.federated_mean(local[0], local[1])


def mean_of_the_server():
    """Refused: the server has one value, and there is nothing to average."""
    return tff.federated_computation(lambda x: tff.federated_mean(x), tff.type_at_server(READING))


def mean_of_integers():
    """Refused: the mean of integers is no integer."""
    return tff.federated_computation(lambda x: tff.federated_mean(x), tff.type_at_clients(np.int32))


def words_for_numbers():
    """Refused when it is called: these clients have no numbers."""
    return mean_temperature(["warm", "cold"])


def refusal(attempt):
    """The error's text."""
    try:
        attempt()
    except TypeError as error:
        return str(error)
    return "not refused"


def main():
    """Prints types, results and errors; returns them."""
    readings, stations = [68.5, 70.3, 69.8], [[68.0, 70.0], [71.0], [68.0, 72.0, 70.0]]
    computations = [mean_temperature, exceeds, share_above, mean_and_count, mean_of_stations]
    types = {computation.__name__: str(computation.type_signature) for computation in computations}
    for name, type_ in types.items():
        print(f"{name}: {type_}")
    results = {
        "mean": mean_temperature(readings),
        "share": share_above(readings, 69.0),
        "local": mean_and_count(stations[2]),
        "stations": mean_of_stations(stations),
    }
    for name, value in results.items():
        print(f"{name}: {value}")
    refused = [refusal(attempt) for attempt in (mean_of_the_server, mean_of_integers, words_for_numbers)]
    print("\n\n".join(["", *refused]))
    return results | {"types": types, "refused": refused}


if __name__ == "__main__":
    main()
