# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Clipping, zeroing, concatenation and measurements: their trees, their types and their numbers."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import foedus as fd
import foedus.tff as tff
from foedus import runtime

RUNTIMES = {"reference": runtime.reference, "local": runtime.local}
each_runtime = pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
aggregators = tff.aggregators
Quantile = aggregators.PrivateQuantileEstimationProcess
robust: Any = tff.learning.robust_aggregator
no_factory: Any = 3
VALUE = tff.to_type(OrderedDict(w=(np.float32, (3,)), b=np.float32))
WEIGHT = tff.TensorType(np.float32)
ROUNDS = [[5, 40, 1], [9, 3], [2, 8, 30, 4]]
"""The clients' weights in each round."""
QUERY = (
    "<<current_estimate=float32,target_quantile=float32,learning_rate=float32,below_estimate_state=<>>,<>>"
)


def update(client: int, round_: int) -> np.ndarray:
    """Four numbers; the clients differ in size by powers of ten."""
    return (np.random.default_rng([client, round_]).normal(size=4) * 10.0 ** (client - 1)).astype(np.float32)


def given(round_: int) -> list[Any]:
    updates = [update(i, round_) for i in range(len(ROUNDS[round_]))]
    return [OrderedDict(w=u[:3], b=u[3]) for u in updates]


class Limit:
    """A quantile that is learned, from its definition (Andrew et al., 2021, algorithm 1, without noise)."""

    def __init__(
        self, initial: float, target: float, rate: float, *, times: float = 1, plus: float = 0
    ) -> None:
        self.estimate, self.target, self.rate = initial, target, rate
        self.times, self.plus = times, plus

    @property
    def norm(self) -> float:
        return self.times * self.estimate + self.plus

    def learn(self, norms: Any) -> None:
        self.estimate *= math.exp(-self.rate * (np.mean(norms <= self.estimate) - self.target))


def clipped(updates: np.ndarray, limit: Limit) -> tuple[np.ndarray, int]:
    """Updates scaled down to a norm, and how many were."""
    norms, most = np.sqrt((updates**2).sum(axis=1)), limit.norm
    limit.learn(norms)
    factors = np.minimum(1, most / np.where(norms > 0, norms, 1))
    return updates * factors[:, None], int(np.sum(norms > most))


def zeroed(updates: np.ndarray, limit: Limit) -> tuple[np.ndarray, int]:
    """Updates with zeros for those that are too large, and how many were."""
    norms, most = np.abs(updates).max(axis=1), limit.norm
    limit.learn(norms)
    return np.where((norms > most)[:, None], 0, updates), int(np.sum(norms > most))


def run(process: Any, *, weighted: bool) -> list[Any]:
    """The outputs of the three rounds."""
    state, outputs = process.initialize(), []
    for round_, weights in enumerate(ROUNDS):
        others = [[np.float32(w) for w in weights]] if weighted else []
        outputs.append(process.next(state, given(round_), *others))
        state = outputs[-1].state
    return outputs


@each_runtime
@pytest.mark.parametrize("weighted", [True, False])
def test_adaptive_clipping(make: Any, weighted: bool):
    mean: Any = aggregators.MeanFactory() if weighted else aggregators.UnweightedMeanFactory()
    factory = aggregators.clipping_factory(Quantile.no_noise(0.7, 0.8, 0.9), mean)
    process = factory.create(VALUE, WEIGHT) if weighted else factory.create(VALUE)
    assert process.is_weighted is weighted
    limit, counts = Limit(0.7, 0.8, 0.9), []
    with fd.use(make()):
        outputs = run(process, weighted=weighted)
    for round_, (weights, output) in enumerate(zip(ROUNDS, outputs, strict=True)):
        norm = limit.norm
        updates = np.array([update(i, round_) for i in range(len(weights))], np.float64)
        updates, count = clipped(updates, limit)
        expected = np.average(updates, axis=0, weights=weights if weighted else None)
        # Some roundings of float32, each of half a unit in the last place.
        np.testing.assert_allclose([*output.result["w"], output.result["b"]], expected, rtol=2e-6)
        assert list(output.measurements) == ["clipping", "clipping_norm", "clipped_count"]
        assert output.measurements["clipping_norm"] == pytest.approx(norm, rel=1e-6)
        assert output.measurements["clipped_count"] == count
        query, _ = output.state["clipping_norm"]
        assert query.current_estimate == pytest.approx(limit.estimate, rel=1e-6)
        assert (query.target_quantile, query.learning_rate) == (np.float32(0.8), np.float32(0.9))
        counts.append(count)
    assert all(0 < count < len(weights) for count, weights in zip(counts, ROUNDS, strict=True))


@each_runtime
def test_the_robust_aggregator(make: Any):
    process = robust().create(VALUE, WEIGHT)
    clip, zero = Limit(1.0, 0.8, 0.2), Limit(10.0, 0.98, math.log(10), times=2, plus=1)
    with fd.use(make()):
        outputs = run(process, weighted=True)
    for round_, (weights, output) in enumerate(zip(ROUNDS, outputs, strict=True)):
        norms = (zero.norm, clip.norm)
        updates = np.array([update(i, round_) for i in range(len(weights))], np.float64)
        updates, zeros = zeroed(updates, zero)
        updates, clips = clipped(updates, clip)
        found = output.measurements
        np.testing.assert_allclose(
            [*output.result["w"], output.result["b"]], np.average(updates, axis=0, weights=weights), rtol=2e-6
        )
        assert (found["zeroing_norm"], found["zeroing"]["clipping_norm"]) == pytest.approx(norms, rel=1e-6)
        assert (found["zeroed_count"], found["zeroing"]["clipped_count"]) == (zeros, clips)


def test_the_trees_of_the_robust_aggregator():
    process = robust().create(VALUE, WEIGHT)
    mean = "<value_sum_process=<>,weight_sum_process=<>>"
    state = (
        f"<zeroing_norm={QUERY},inner_agg=<clipping_norm={QUERY},inner_agg={mean},clipped_count_agg=<>>,"
        "zeroed_count_agg=<>>@SERVER"
    )
    measurements = (
        "<zeroing=<clipping=<mean_value=<>,mean_weight=<>>,clipping_norm=float32,clipped_count=int32>,"
        "zeroing_norm=float32,zeroed_count=int32>@SERVER"
    )
    assert str(process.initialize.type_signature) == f"( -> {state})"
    assert str(process.next.type_signature) == (
        f"(<state={state},value={{<w=float32[3],b=float32>}}@CLIENTS,weight={{float32}}@CLIENTS> -> "
        f"<state={state},result=<w=float32[3],b=float32>@SERVER,measurements={measurements}>)"
    )


@pytest.mark.parametrize(
    ("zeroing", "clipping", "state"),
    [
        (False, False, "<value_sum_process=<>,count_sum_process=<>>"),
        (
            True,
            False,
            f"<zeroing_norm={QUERY},inner_agg=<value_sum_process=<>,count_sum_process=<>>,zeroed_count_agg=<>>",
        ),
        (
            False,
            True,
            f"<clipping_norm={QUERY},inner_agg=<value_sum_process=<>,count_sum_process=<>>,clipped_count_agg=<>>",
        ),
    ],
)
def test_parts_of_the_robust_aggregator(zeroing: bool, clipping: bool, state: str):
    factory = robust(zeroing=zeroing, clipping=clipping, weighted=False)
    assert str(factory.create(VALUE).initialize.type_signature) == f"( -> {state}@SERVER)"


def test_what_is_measured_in_the_robust_aggregator():
    def largest(factory: Any) -> Any:
        return aggregators.add_measurements(
            factory, server_measurement_fn=lambda result: OrderedDict(mean=result.b)
        )

    process = robust(zeroing=False, debug_measurements_fn=largest).create(VALUE, WEIGHT)
    inner = process.next(process.initialize(), given(1), [1.0, 0.0]).measurements["clipping"]
    assert list(inner) == ["mean_value", "mean_weight", "mean"]
    updates, _ = clipped(update(0, 1)[None].astype(np.float64), Limit(1.0, 0.8, 0.2))
    assert inner["mean"] == pytest.approx(updates[0, 3], rel=1e-6)


@pytest.mark.parametrize("weighted", [True, False])
def test_measuring_keeps_weights(weighted: bool):
    other = aggregators.MeanFactory() if not weighted else aggregators.SumFactory()
    with pytest.raises(TypeError, match="Expected `debug_measurements_fn` to return a"):
        robust(weighted=weighted, debug_measurements_fn=lambda _: other)


def test_a_fixed_norm():
    process = aggregators.clipping_factory(5.0, aggregators.SumFactory()).create(VALUE)
    assert str(process.initialize.type_signature) == (
        "( -> <clipping_norm=<>,inner_agg=<>,clipped_count_agg=<>>@SERVER)"
    )
    values = [OrderedDict(w=np.array(w, np.float32), b=np.float32(0)) for w in ([30, 0, 40], [3, 4, 0])]
    output = process.next(process.initialize(), values)
    np.testing.assert_allclose(output.result["w"], [6, 4, 4], rtol=1e-6)
    assert output.measurements == {"clipping": (), "clipping_norm": 5, "clipped_count": 1}


@pytest.mark.parametrize(("order", "kept"), [(1.0, [1]), (2.0, [1, 2]), (math.inf, [0, 1, 2])])
def test_zeroing_keeps_weights(order: float, kept: list[int]):
    """The norms are 9, 4 and 6 of order 1; the roots of 27, 16 and 18; 3, 4 and 3 of order infinity."""
    values = [np.array(v, np.float32) for v in ([3, 3, 3], [0, 4, 0], [3, 3, 0])]
    factory = aggregators.zeroing_factory(4.5, aggregators.MeanFactory(), order)
    process = factory.create(tff.TensorType(np.float32, [3]), WEIGHT)
    assert str(process.initialize.type_signature) == (
        "( -> <zeroing_norm=<>,inner_agg=<value_sum_process=<>,weight_sum_process=<>>,zeroed_count_agg=<>>"
        "@SERVER)"
    )
    weights = [1.0, 2.0, 5.0]
    output = process.next(process.initialize(), values, weights)
    expected = np.sum([weights[i] * values[i] for i in kept], axis=0) / 8
    np.testing.assert_allclose(output.result, expected, rtol=1e-6)
    assert list(output.measurements) == ["zeroing", "zeroing_norm", "zeroed_count"]
    assert output.measurements["zeroed_count"] == 3 - len(kept)


def test_the_names_of_2020():
    assert aggregators.ClippingFactory is aggregators.clipping_factory
    assert aggregators.ZeroingFactory is aggregators.zeroing_factory


class Doubled(aggregators.WeightedAggregationFactory):
    """A factory as users write them, with a state of its own: the sum of weighted values, times the step."""

    def create(self, value_type: Any, weight_type: Any) -> Any:
        @tff.federated_computation()
        def initialize_fn():
            return tff.federated_value(np.int32(1), tff.SERVER)

        @tff.jax_computation(value_type, weight_type)
        def times(value: Any, weight: Any) -> Any:
            return OrderedDict((name, leaf * weight) for name, leaf in value.items())

        @tff.jax_computation(value_type, np.int32)
        def multiplied(value: Any, step: Any) -> Any:
            return OrderedDict((name, leaf * step.astype("float32")) for name, leaf in value.items())

        @tff.federated_computation(
            initialize_fn.type_signature.result,
            tff.type_at_clients(value_type),
            tff.type_at_clients(weight_type),
        )
        def next_fn(state, value, weight):
            total = tff.federated_sum(tff.federated_map(times, (value, weight)))
            step = tff.federated_map(tff.jax_computation(lambda s: s + 1, np.int32), state)
            return tff.templates.MeasuredProcessOutput(
                step,
                tff.federated_map(multiplied, (total, state)),
                tff.federated_zip(OrderedDict(step=state)),
            )

        return tff.templates.AggregationProcess(initialize_fn, next_fn)


class Counted(aggregators.UnweightedAggregationFactory):
    """A sum as users write them, that counts in its state."""

    def create(self, value_type: Any) -> Any:
        @tff.federated_computation()
        def initialize_fn():
            return tff.federated_value(value_type.dtype.type(0), tff.SERVER)

        @tff.federated_computation(tff.type_at_server(value_type), tff.type_at_clients(value_type))
        def next_fn(state, value):
            add = tff.jax_computation(lambda a, b: a + b, value_type, value_type)
            total = tff.federated_map(add, (state, tff.federated_sum(value)))
            return tff.templates.MeasuredProcessOutput(total, total, tff.federated_value((), tff.SERVER))

        return tff.templates.AggregationProcess(initialize_fn, next_fn)


@each_runtime
def test_factories_of_users_inside(make: Any):
    factory = aggregators.clipping_factory(5.0, Doubled(), Counted())
    process = factory.create(VALUE, WEIGHT)
    assert str(process.initialize.type_signature) == (
        "( -> <clipping_norm=<>,inner_agg=int32,clipped_count_agg=int32>@SERVER)"
    )
    values = [OrderedDict(w=np.array(w, np.float32), b=np.float32(0)) for w in ([30, 0, 40], [3, 4, 0])]
    with fd.use(make()):
        state = process.initialize()
        for step in (1, 2, 3):
            output = process.next(state, values, [2.0, 1.0])
            state = output.state
            expected = step * (2 * np.array([3, 0, 4]) + np.array([3, 4, 0]))
            np.testing.assert_allclose(output.result["w"], expected, rtol=1e-6)
            assert output.measurements == {
                "clipping": {"step": step},
                "clipping_norm": 5,
                "clipped_count": step,
            }
    assert (state["inner_agg"], state["clipped_count_agg"]) == (4, 3)


@each_runtime
def test_concatenation(make: Any):
    vectors: list[str] = []

    class Seen(aggregators.UnweightedAggregationFactory):
        def create(self, value_type: Any) -> Any:
            vectors.append(str(value_type))
            return aggregators.UnweightedMeanFactory().create(value_type)

    process = aggregators.concat_factory(Seen()).create(VALUE)
    assert vectors == ["float32[4]"]
    state, value = "<value_sum_process=<>,count_sum_process=<>>@SERVER", "<w=float32[3],b=float32>"
    assert str(process.next.type_signature) == (
        f"(<state={state},value={{{value}}}@CLIENTS> -> <state={state},result={value}@SERVER,"
        "measurements=<mean_value=<>,mean_count=<>>@SERVER>)"
    )
    with fd.use(make()):
        result = process.next(process.initialize(), given(1)).result
    assert isinstance(result, OrderedDict)
    expected = (update(0, 1).astype(np.float64) + update(1, 1)) / 2
    np.testing.assert_allclose([*result["w"], result["b"]], expected, rtol=1e-6)


def test_concatenation_with_weights():
    process = aggregators.concat_factory(aggregators.MeanFactory()).create(VALUE, WEIGHT)
    result = process.next(process.initialize(), given(1), [3.0, 1.0]).result
    expected = (3 * update(0, 1).astype(np.float64) + update(1, 1)) / 4
    np.testing.assert_allclose([*result["w"], result["b"]], expected, rtol=1e-6)


def test_a_vector_has_one_dtype():
    mixed = tff.to_type(OrderedDict(w=(np.float32, (3,)), b=np.int32))
    with pytest.raises(TypeError, match="A vector has one dtype"):
        aggregators.concat_factory(aggregators.SumFactory()).create(mixed)


def least(value: Any) -> Any:
    return OrderedDict(least=tff.federated_min(value))


def least_and_mass(value: Any, weight: Any) -> Any:
    return OrderedDict(least=tff.federated_min(value), mass=tff.federated_sum(weight))


def squared(result: Any) -> Any:
    return OrderedDict(square=tff.federated_map(tff.jax_computation(lambda r: r * r, np.float32), result))


FLOAT = tff.TensorType(np.float32)


def test_measurements_without_weights():
    factory = aggregators.add_measurements(
        aggregators.SumFactory(), client_measurement_fn=least, server_measurement_fn=squared
    )
    process = factory.create(FLOAT)
    assert str(process.next.type_signature.result.measurements) == "<least=float32,square=float32>@SERVER"
    output = process.next(process.initialize(), [3.0, 1.0])
    assert output.result == 4
    assert output.measurements == OrderedDict(least=np.float32(1), square=np.float32(16))


def test_measurements_with_weights_beside_those_there():
    factory = aggregators.add_measurements(aggregators.MeanFactory(), client_measurement_fn=least_and_mass)
    process = factory.create(FLOAT, WEIGHT)
    assert str(process.next.type_signature.result.measurements) == (
        "<mean_value=<>,mean_weight=<>,least=float32,mass=float32>@SERVER"
    )
    output = process.next(process.initialize(), [3.0, 1.0], [1.0, 3.0])
    assert (output.result, output.measurements["least"], output.measurements["mass"]) == (1.5, 1, 4)


def test_later_measurements_take_the_place_of_earlier_ones():
    inner = aggregators.add_measurements(aggregators.SumFactory(), client_measurement_fn=least)
    factory = aggregators.add_measurements(inner, server_measurement_fn=lambda r: OrderedDict(least=r))
    process = factory.create(FLOAT)
    assert process.next(process.initialize(), [3.0, 1.0]).measurements == {"least": 4}


def test_no_measurements_leave_those_there():
    factory = aggregators.add_measurements(
        aggregators.SumFactory(), server_measurement_fn=lambda _: tff.federated_value((), tff.SERVER)
    )
    process = factory.create(FLOAT)
    assert process.next(process.initialize(), [3.0, 1.0]).measurements == ()


def test_a_measurement_alone_needs_no_name():
    process = aggregators.add_measurements(
        aggregators.SumFactory(), client_measurement_fn=tff.federated_sum
    ).create(FLOAT)
    assert process.next(process.initialize(), [3.0, 1.0]).measurements == 4
    with pytest.raises(
        TypeError, match="Expected measurements with names, to add others to them, found float32"
    ):
        aggregators.add_measurements(
            aggregators.SumFactory(), client_measurement_fn=tff.federated_sum, server_measurement_fn=squared
        ).create(FLOAT)


def test_functions_that_measure_take_what_there_is():
    mean, total = aggregators.MeanFactory(), aggregators.SumFactory()
    with pytest.raises(ValueError, match=r"^Expected `client_measurement_fn` to take two parameters"):
        aggregators.add_measurements(mean, client_measurement_fn=least)
    with pytest.raises(ValueError, match=r"^Expected `client_measurement_fn` to take a single parameter"):
        aggregators.add_measurements(total, client_measurement_fn=least_and_mass)
    two: Any = least_and_mass
    with pytest.raises(ValueError, match=r"^Expected `server_measurement_fn` to take a single parameter"):
        aggregators.add_measurements(mean, server_measurement_fn=two)
    with pytest.raises(ValueError, match="There is nothing to measure"):
        aggregators.add_measurements(mean)


def test_quantiles():
    process = Quantile.no_noise(2.0, 0.5, 1.0, multiplier=3.0, increment=0.5)
    assert isinstance(process, tff.templates.EstimationProcess)
    assert str(process.next.type_signature) == (
        f"(<state={QUERY}@SERVER,value={{float32}}@CLIENTS> -> {QUERY}@SERVER)"
    )
    assert str(process.report.type_signature) == f"({QUERY}@SERVER -> float32@SERVER)"
    state = process.initialize()
    assert process.report(state) == 6.5
    after = process.next(state, [1.0, 3.0, 5.0, 7.0])
    assert process.report(after) == pytest.approx(3 * 2 * math.exp(0.25) + 0.5, rel=1e-6)
    thrice = process.map(tff.jax_computation(lambda c: 3 * c, np.float32))
    assert thrice.report(state) == 19.5


def test_what_quantiles_cannot_do():
    with pytest.raises(NotImplementedError) as secure:
        Quantile.no_noise(1.0, 0.5, 0.2, secure_estimation=True)
    assert str(secure.value) == (
        "foedus.tff has no secure estimation of quantiles: aggregators with secure sums are not here yet; "
        "leave out `secure_estimation`"
    )
    with pytest.raises(NotImplementedError) as query:
        Quantile(None)
    assert str(query.value) == (
        "foedus.tff has no private estimation of quantiles: queries of tensorflow_privacy are not here; use "
        "PrivateQuantileEstimationProcess.no_noise"
    )


def test_what_quantiles_are_not_given():
    with pytest.raises(ValueError, match=r"^Expected `multiplier` to be positive, found 0.0\.$"):
        Quantile.no_noise(1.0, 0.5, 0.2, multiplier=0.0)
    with pytest.raises(ValueError, match=r"^Expected `increment` to be nonnegative, found -1.0\.$"):
        Quantile.no_noise(1.0, 0.5, 0.2, increment=-1.0)


def test_norms_and_numbers_of_quantiles_are_checked():
    with pytest.raises(ValueError, match="The target of a quantile is out of its range"):
        Quantile.no_noise(1.0, 1.5, 0.2)
    wide = Quantile.no_noise(1.0, 0.5, 0.2).map(lambda c: c.astype("float64"))
    with pytest.raises(TypeError, match="does not report a norm"):
        aggregators.clipping_factory(wide, aggregators.SumFactory())


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: aggregators.clipping_factory(1.0, no_factory), "inner_agg_factory"),
        (lambda: aggregators.concat_factory(no_factory), "inner_agg_factory"),
        (lambda: aggregators.MeanFactory(no_factory), "value_sum_factory"),
    ],
)
def test_factories_are_needed(build: Any, name: str):
    with pytest.raises(TypeError) as error:
        build()
    assert str(error.value) == f"Expected `{name}` to be an aggregation factory, found 3."


def test_counting_has_no_weights():
    weighted: Any = aggregators.MeanFactory()
    wanted = "Expected `clipped_count_sum_factory` to be an UnweightedAggregationFactory"
    with pytest.raises(TypeError, match=wanted):
        aggregators.clipping_factory(1.0, aggregators.SumFactory(), weighted)
