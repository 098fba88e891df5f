# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""A program for TFF with models that are written by hand, saved and loaded; prints what it finds as JSON."""

import json
import subprocess
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import foedus.tff as tff

ROWS = {"a": 5, "b": 2, "c": 0}
rng = np.random.default_rng(3)
DATA = {
    c: OrderedDict(x=rng.normal(size=(n, 3)).astype(np.float32), y=rng.normal(size=(n, 1)).astype(np.float32))
    for c, n in ROWS.items()
}
datasets = [tf.data.Dataset.from_tensor_slices(columns).batch(2) for columns in DATA.values()]
SPEC = datasets[0].element_spec
FACTS: dict[str, Any] = {
    "data": [{name: column.tolist() for name, column in columns.items()} for columns in DATA.values()]
}
algorithms, models = tff.learning.algorithms, tff.learning.models


class Linear(tff.learning.models.VariableModel):
    """A linear model of which the bias is a running mean of the labels, which the model itself keeps."""

    def __init__(self):
        self._kernel = tf.Variable(lambda: tf.ones((3, 1)), name="kernel", trainable=True)
        self._seen = tf.Variable(0.0, name="seen", trainable=False)
        self._loss_sum = tf.Variable(0.0, name="loss_sum", trainable=False)
        self._count = tf.Variable(0.0, name="count", trainable=False)
        self._largest = tf.Variable(-1e9, name="largest", trainable=False)

    @property
    def trainable_variables(self):
        return [self._kernel]

    @property
    def non_trainable_variables(self):
        return [self._seen]

    @property
    def local_variables(self):
        return [self._loss_sum, self._count, self._largest]

    @property
    def input_spec(self):
        return SPEC

    @tf.function
    def predict_on_batch(self, x, training=True):
        return tf.matmul(x, self._kernel) + self._seen

    @tf.function
    def forward_pass(self, batch_input, training=True):
        predictions = self.predict_on_batch(batch_input["x"], training)
        loss = tf.reduce_mean(tf.square(predictions - batch_input["y"]))
        rows = tf.shape(batch_input["x"])[0]
        if training:
            self._seen.assign(0.5 * self._seen + 0.5 * tf.reduce_mean(batch_input["y"]))
        self._loss_sum.assign_add(loss * tf.cast(rows, tf.float32))
        self._count.assign_add(tf.cast(rows, tf.float32))
        self._largest.assign(tf.maximum(self._largest, tf.reduce_max(batch_input["y"])))
        return models.BatchOutput(loss=loss, predictions=predictions, num_examples=rows)

    @tf.function
    def report_local_unfinalized_metrics(self):
        return OrderedDict(
            loss=[self._loss_sum, self._count], num_examples=self._count, largest=tf.exp(self._largest)
        )

    def metric_finalizers(self):
        return OrderedDict(
            loss=tf.function(func=lambda x: x[0] / x[1]),
            num_examples=tf.function(func=lambda x: x),
            largest=tf.math.log,
        )

    @tf.function
    def reset_metrics(self):
        self._loss_sum.assign(0.0)
        self._count.assign(0.0)
        self._largest.assign(-1e9)


@tff.federated_computation
def aggregate_outputs(outputs):
    return OrderedDict(
        num_examples=tff.federated_sum(outputs.num_examples),
        loss=tff.federated_mean(outputs.loss, outputs.num_examples),
    )


class Old(tff.learning.Model):
    """The same kernel without a bias, with the methods of 2021."""

    def __init__(self):
        self._kernel = tf.Variable(tf.ones((3, 1)), trainable=True)
        self._sums = [tf.Variable(0.0, trainable=False), tf.Variable(0.0, trainable=False)]

    @property
    def trainable_variables(self):
        return [self._kernel]

    @property
    def non_trainable_variables(self):
        return []

    @property
    def local_variables(self):
        return self._sums

    @property
    def input_spec(self):
        return SPEC

    @tf.function
    def forward_pass(self, batch_input, training=True):
        predictions = tf.matmul(batch_input["x"], self._kernel)
        loss = tf.reduce_mean(tf.square(predictions - batch_input["y"]))
        rows = tf.shape(batch_input["x"])[0]
        self._sums[0].assign_add(loss * tf.cast(rows, tf.float32))
        self._sums[1].assign_add(tf.cast(rows, tf.float32))
        return tff.learning.BatchOutput(loss=loss, predictions=predictions, num_examples=rows)

    @tf.function
    def report_local_outputs(self):
        return OrderedDict(
            num_examples=self._sums[1], loss=tf.math.divide_no_nan(self._sums[0], self._sums[1])
        )

    @property
    def federated_output_computation(self):
        return aggregate_outputs


def plain(value):
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return np.asarray(value).tolist()


def described(process, rounds=2):
    state, outputs = process.initialize(), []
    for _ in range(rounds):
        output = process.next(state, datasets)
        state = output[0]
        outputs.append(output)
    return {
        "type": str(process.initialize.type_signature),
        "states": [plain(output[0]) for output in outputs],
        "metrics": [plain(output[1]) for output in outputs],
    }


def refusal(build):
    try:
        build()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


SGD = tff.learning.optimizers.build_sgdm(0.1)
FACTS["fed avg"] = described(algorithms.build_weighted_fed_avg(Linear, SGD))
FACTS["unweighted"] = described(algorithms.build_unweighted_fed_avg(Linear, SGD))
FACTS["fed prox"] = described(algorithms.build_weighted_fed_prox(Linear, 0.5, SGD))
FACTS["fed sgd"] = described(algorithms.build_fed_sgd(Linear))
FACTS["fed eval"] = described(algorithms.build_fed_eval(Linear))
old = tff.learning.build_federated_averaging_process(Old, lambda: tf.keras.optimizers.SGD(0.1))
FACTS["2021"] = described(old)
FACTS["2021 evaluation"] = plain(
    tff.learning.build_federated_evaluation(Old)(old.initialize().model, datasets)
)
FACTS["2021 today"] = described(algorithms.build_weighted_fed_avg(Old, SGD))["metrics"]

# A client whose update is not finite counts for nothing, and its metrics are those from before it began.
broken = OrderedDict(x=np.full((2, 3), np.inf, np.float32), y=np.full((2, 1), 5, np.float32))
with_broken = [datasets[0], tf.data.Dataset.from_tensor_slices(broken).batch(2)]
process = algorithms.build_weighted_fed_avg(Linear, SGD)
FACTS["not finite"] = [plain(process.next(process.initialize(), d)) for d in (with_broken, datasets[:1])]

model = Linear()
FACTS["weights type"] = [str(models.weights_type_from_model(m)) for m in (model, Linear)]
FACTS["from model"] = plain(models.ModelWeights.from_model(model))
FACTS["as it was"] = plain(model.report_local_unfinalized_metrics())

# Saved, and loaded here and in a process that has none of this code.
folder = Path(tempfile.mkdtemp())
models.ModelWeights([np.full((3, 1), 2, np.float32)], [np.float32(0.25)]).assign_weights_to(model)
models.save(model, str(folder / "linear"))
loaded = models.load(str(folder / "linear"))
batch = next(iter(datasets[0]))
FACTS["loaded"] = {
    "weights": plain(models.ModelWeights.from_model(loaded)),
    "passes": [[plain(m.forward_pass(batch)) for _ in range(2)] for m in (model, loaded)],
    "metrics": [plain(m.report_local_unfinalized_metrics()) for m in (model, loaded)],
    "spec": str(tff.to_type(loaded.input_spec)),
}
loaded.reset_metrics()
FACTS["loaded"]["reset"] = plain(loaded.report_local_unfinalized_metrics())
finalizers = loaded.metric_finalizers()
FACTS["loaded"]["loss"] = plain(finalizers["loss"]([tf.constant(3.0), tf.constant(2.0)]))
with tf.GradientTape() as tape:
    loss = loaded.forward_pass(batch).loss
FACTS["loaded"]["gradient"] = plain(tape.gradient(loss, loaded.trainable_variables))

ELSEWHERE = """
import sys, json, numpy as np, tensorflow as tf
from collections import OrderedDict
import foedus.tff as tff
path, data = sys.argv[1], json.loads(sys.argv[2])
columns = [
    OrderedDict((n, np.reshape(np.array(v, np.float32), (-1, w))) for (n, v), w in zip(c.items(), (3, 1)))
    for c in data
]
datasets = [tf.data.Dataset.from_tensor_slices(c).batch(2) for c in columns]
process = tff.learning.algorithms.build_weighted_fed_avg(
    lambda: tff.learning.models.load(path), tff.learning.optimizers.build_sgdm(0.1))
state, metrics = process.next(process.initialize(), datasets)
evaluated = tff.learning.algorithms.build_fed_eval(lambda: tff.learning.models.load(path))
state_of_eval, found = evaluated.next(evaluated.initialize(), datasets)
print(json.dumps([
    [np.asarray(w).tolist() for part in state.global_model_weights for w in part],
    {n: float(v) for n, v in metrics["client_work"]["train"].items()},
    {n: float(v) for n, v in found["client_work"]["eval"]["current_round_metrics"].items()},
]))
"""
fresh = Linear()
models.save(fresh, str(folder / "fresh"))
done = subprocess.run(
    [sys.executable, "-c", ELSEWHERE, str(folder / "fresh"), json.dumps(FACTS["data"])],
    capture_output=True,
    text=True,
    check=False,
)
FACTS["elsewhere"] = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else done.stderr[-3000:]


# Functional models with metrics of their own.
def predict(weights, x, training):
    return tf.matmul(x, weights[0][0])


def squared(output, label, sample_weight=None):
    return tf.reduce_mean(tf.square(output - label))


def update(state, labels, batch_output, sample_weight=None):
    rows = tf.cast(batch_output.num_examples, tf.float32)
    return OrderedDict(total=state["total"] + batch_output.loss * rows, count=state["count"] + rows)


functional = models.FunctionalModel(
    initial_weights=([np.ones((3, 1), np.float32)], []),
    predict_on_batch_fn=predict,
    loss_fn=squared,
    metrics_fns=(
        lambda: OrderedDict(total=np.float32(0), count=np.float32(0)),
        update,
        lambda state: OrderedDict(mean=state["total"] / state["count"]),
    ),
    input_spec=SPEC,
)
FACTS["functional"] = described(algorithms.build_weighted_fed_avg(functional, SGD))
models.save_functional_model(functional, str(folder / "functional"))
again = models.load_functional_model(str(folder / "functional"))
FACTS["functional again"] = described(algorithms.build_weighted_fed_avg(again, SGD))
mae = tff.learning.metrics.create_functional_metric_fns(
    lambda: OrderedDict(mae=tf.keras.metrics.MeanAbsoluteError())
)
with_keras = models.FunctionalModel(
    initial_weights=([np.ones((3, 1), np.float32)], []),
    predict_on_batch_fn=predict,
    loss_fn=squared,
    metrics_fns=mae,
    input_spec=SPEC,
)
FACTS["functional with Keras"] = described(algorithms.build_fed_eval(with_keras), 1)["metrics"]


def from_functional():
    return models.model_from_functional(functional, [tf.keras.metrics.MeanAbsoluteError])


FACTS["from functional"] = described(algorithms.build_weighted_fed_avg(from_functional, SGD))
held = from_functional()
held.forward_pass(batch)
FACTS["of Keras"] = plain(
    OrderedDict(
        (n, f(held.report_local_unfinalized_metrics()[n])) for n, f in held.metric_finalizers().items()
    )
)


# Keras models as VariableModel, saved.
def keras_model():
    return tf.keras.Sequential(
        [tf.keras.Input((3,)), tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )


def of_keras():
    counters = [tff.learning.metrics.NumExamplesCounter("rows"), tff.learning.metrics.NumBatchesCounter()]
    return models.from_keras_model(
        keras_model(),
        tf.keras.losses.MeanSquaredError(),
        SPEC,
        metrics=[*counters, tf.keras.metrics.MeanAbsoluteError()],
    )


FACTS["Keras"] = described(algorithms.build_weighted_fed_avg(of_keras, SGD))
kept = of_keras()
kept.forward_pass(batch)
FACTS["Keras by itself"] = [
    plain(
        OrderedDict(
            (n, f(kept.report_local_unfinalized_metrics()[n])) for n, f in kept.metric_finalizers().items()
        )
    ),
    len(kept.local_variables),
]
models.save(of_keras(), str(folder / "keras"))
FACTS["Keras again"] = described(
    algorithms.build_weighted_fed_avg(lambda: models.load(str(folder / "keras")), SGD)
)

# Refusals.
outside = tf.Variable(tf.ones((3, 1)))


class Shared(Old):
    def __init__(self):
        super().__init__()
        self._kernel = outside


class Branching(Linear):
    @tf.function
    def forward_pass(self, batch_input, training=True):
        if tf.reduce_sum(batch_input["y"]) > 0.0:
            self._count.assign_add(1.0)
        return super().forward_pass(batch_input, training)


class Scattering(Old):
    @tf.function
    def forward_pass(self, batch_input, training=True):
        self._kernel.scatter_nd_update([[0, 0]], [1.0])
        return super().forward_pass(batch_input, training)


class Silent(tff.learning.Model):
    @property
    def trainable_variables(self):
        return []

    @property
    def non_trainable_variables(self):
        return []

    @property
    def input_spec(self):
        return SPEC

    def forward_pass(self, batch_input, training=True):
        return None


(folder / "broken").mkdir()
for file in (folder / "fresh").iterdir():
    data = file.read_bytes()
    cut = data[: len(data) // 2] if file.name == "train" else data
    (folder / "broken" / file.name).write_bytes(cut)
FACTS["folder"] = str(folder)
FACTS["refused"] = {
    "shared": refusal(lambda: algorithms.build_weighted_fed_avg(Shared, SGD)),
    "branching": refusal(lambda: algorithms.build_weighted_fed_avg(Branching, SGD)),
    "scattering": refusal(lambda: algorithms.build_weighted_fed_avg(Scattering, SGD)),
    "silent": refusal(lambda: algorithms.build_weighted_fed_avg(Silent, SGD)),
    "old eval": refusal(lambda: algorithms.build_fed_eval(Old)),
    "nothing saved": refusal(lambda: models.load(str(folder / "none"))),
    "broken": refusal(lambda: models.load(str(folder / "broken"))),
    "saving 2021": refusal(lambda: models.save(Old(), str(folder / "old"))),
    "saving nothing": refusal(lambda: models.save(3, str(folder / "three"))),
    "no metric": refusal(lambda: tff.learning.metrics.create_keras_metric_finalizer(3)),
    "weighted loss": refusal(lambda: again.loss(batch["x"], batch["y"], 1.0)),
    "names": refusal(
        lambda: tff.learning.metrics.sum_then_finalize(OrderedDict(a=lambda x: x), OrderedDict(b=np.float32))
    ),
}
print(json.dumps(FACTS))
