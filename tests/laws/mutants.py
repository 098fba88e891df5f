# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Mistakes that the local runtime could have: each a patch of one of its functions.

A mutant comes with the law and the example that notice it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foedus.data import Batch, Repeat, Take

from . import runtime_laws as laws

Law = Callable[..., list[str]]
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Mutant:
    """A mistake.

    Args:
        name: What goes wrong.
        target: The dotted name of the function that is patched.
        wrap: From that function to the one in its place.
        example: The example whose law is broken.
        count: The number of clients it is run with.
        law: The law.
    """

    name: str
    target: str
    wrap: Wrap
    example: str
    count: int
    law: Law

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module, _, names = self.target.partition(":")
        owner: Any = importlib.import_module(module)
        *path, name = names.split(".")
        for part in path:
            owner = getattr(owner, part)
        monkeypatch.setattr(owner, name, self.wrap(getattr(owner, name)))


MUTANTS: list[Mutant] = []
_MODULES = ("local", "stages", "fused", "pass", "evaluate", "columns", "secure")
LOCAL, STAGES, FUSED, PASS, EVALUATE, COLUMNS, SECURE = (f"foedus.runtime._{name}" for name in _MODULES)
FLAT, MERGING = "foedus.sequences._flat", "foedus.runtime._merging"


def mutant(target: str, example: str, count: int, law: Law = laws.agrees) -> Callable[[Wrap], Wrap]:
    """Puts a wrapper of a function into the list; its name says what goes wrong."""

    def add(wrap: Wrap) -> Wrap:
        MUTANTS.append(Mutant(wrap.__name__, target, wrap, example, count, law))
        return wrap

    return add


def each_leaf(function: Callable[[Any], Any], tree: Any) -> Any:
    return jax.tree.map(function, tree)


@mutant(f"{FUSED}:deal", "sum_of_integers_wraps", 33)
def a_client_is_dropped(original: Any) -> Any:
    def wrong(*arguments: Any, **options: Any) -> Any:
        dealt = original(*arguments, **options)
        dealt.spans[0][1, 0, 2] -= 1
        return dealt

    return wrong


@mutant(f"{FUSED}:deal", "mean_of_vectors", 33)
def a_client_counts_twice(original: Any) -> Any:
    def wrong(*arguments: Any, **options: Any) -> Any:
        dealt = original(*arguments, **options)
        dealt.spans[0][1, 0, 1] -= 1
        return dealt

    return wrong


@mutant(f"{FUSED}:deal", "aggregate_that_does_not_commute", 33)
def partial_results_are_mixed_up(original: Any) -> Any:
    def wrong(*arguments: Any, **options: Any) -> Any:
        dealt = original(*arguments, **options)
        return replace(dealt, groups=dealt.groups[::-1])

    return wrong


@mutant(f"{MERGING}:_of_two", "aggregate_that_does_not_commute", 33)
def partial_results_are_merged_the_wrong_way_round(original: Any) -> Any:
    return lambda both, one, other, counts, light: original(
        lambda a, b: both(b, a), one, other, counts, light=light
    )


@mutant(f"{MERGING}:_of_part", "aggregate_that_shows_the_grouping", 33)
def partial_results_are_merged_in_another_order(original: Any) -> Any:
    def wrong(both: Any, rows: list[Any], left: Any, *, light: bool) -> Any:
        total = rows[0]
        for i, row in enumerate(rows[1:], 1):
            total = original(both, [total, row], left - i + 1, light=light)
        return total

    return wrong


@mutant(f"{FUSED}:group_size", "aggregate_that_shows_the_grouping", 33)
def groups_are_no_parts_of_the_tree(original: Any) -> Any:
    return lambda runs, workers: 3


@mutant(f"{STAGES}:place_cohort", "aggregate_that_does_not_commute", 33, laws.ignores_order)
def clients_are_reduced_as_they_come(original: Any) -> Any:
    return lambda cohort, order, shelf: original(cohort, list(range(len(order))), shelf)


@mutant(f"{FUSED}:view", "results_at_clients", 33)
def a_client_gets_the_data_of_the_one_before(original: Any) -> Any:
    return lambda arrays, template, supply, i: original(arrays, template, supply, jnp.maximum(i - 1, 0))


@mutant(f"{STAGES}:client_keys", "keys", 33)
def all_clients_share_a_key(original: Any) -> Any:
    return lambda key, ids, purpose: np.repeat(original(key, ids, purpose)[:1], len(ids), axis=0)


@mutant(f"{STAGES}:client_keys", "keys", 33)
def a_key_depends_on_the_place_of_a_client(original: Any) -> Any:
    return lambda key, ids, purpose: original(key, range(len(ids)), purpose)


@mutant(f"{STAGES}:client_keys", "keys", 33)
def all_purposes_share_a_key(original: Any) -> Any:
    return lambda key, ids, purpose: original(key, ids, "one")


@mutant(f"{STAGES}:Run._collect", "results_at_clients", 33)
def results_come_in_the_order_of_ids(original: Any) -> Any:
    def wrong(self: Any, node: Any) -> Any:
        given = {placement: tuple(sorted(ids)) for placement, ids in self.members.given.items()}
        self.members = replace(self.members, given=given)
        return original(self, node)

    return wrong


@mutant(f"{MERGING}:_in_order", "three_levels", 33)
def what_clients_keep_for_later_goes_to_others(original: Any) -> Any:
    return lambda kept, members: original(kept, None if members is None else jnp.roll(members, 1, axis=0))


@mutant(f"{FUSED}:_part", "padded_batches", 33, laws.reads_in_pieces)
def a_piece_is_folded_twice(original: Any) -> Any:
    return lambda spans, piece, pieces: original(spans, 0, pieces)


@mutant(f"{COLUMNS}:_copy", "padded_batches", 33, laws.reads_in_pieces)
def a_piece_has_the_rows_of_another(original: Any) -> Any:
    def from_the_first(columns: Any, copies: Any, kinds: Any, entries: Any) -> None:
        moved = {unit: (start * 0, sizes) for unit, (start, sizes) in entries.items()}
        original(columns, copies, kinds, moved)

    return from_the_first


@mutant(f"{LOCAL}:Run.result", "mean_of_vectors", 33)
def wide_numbers_are_narrowed(original: Any) -> Any:
    def narrow(x: Any) -> Any:
        return x.astype("float32").astype("float64") if x.dtype == "float64" else x

    return lambda results: each_leaf(narrow, original(results))


@mutant(f"{LOCAL}:_cover", "fold_over_elements", 2, laws.compiles_once)
def every_round_compiles_again(original: Any) -> Any:
    return lambda known, needed: False


@mutant(f"{PASS}:STRANDS", "aggregate_that_shows_the_grouping", 33)
def the_grouping_is_another(original: Any) -> Any:
    return original // 2


def in_place_of(name: str, change: Callable[[Any], Any]) -> Wrap:
    """Changes one operator's monoid in the table of them."""

    def wrap(original: Any) -> Any:
        return {**original, name: lambda node, others: change(original[name](node, others))}

    return wrap


@mutant(f"{EVALUATE}:_MONOIDS", "weighted_mean_with_whole_weights", 33)
def weights_are_forgotten(original: Any) -> Any:
    def wrong(monoid: Any) -> Any:
        return replace(
            monoid, accumulate=lambda one, given: monoid.accumulate(one, (given[0], given[1] * 0 + 1))
        )

    return in_place_of("federated_weighted_mean", wrong)(original)


@mutant(f"{EVALUATE}:_MONOIDS", "weighted_mean_with_zero_weights", 33)
def weights_are_forgotten_in_their_total(original: Any) -> Any:
    def wrong(monoid: Any) -> Any:
        return replace(monoid, accumulate=lambda one, given: (monoid.accumulate(one, given)[0], one[1] + 1))

    return in_place_of("federated_weighted_mean", wrong)(original)


@mutant(f"{EVALUATE}:_divide", "mean_of_vectors", 33)
def a_mean_divides_by_one_too_many(original: Any) -> Any:
    return lambda value, by: original(value, by + 1)


@mutant(f"{EVALUATE}:_limits", "extremes", 33)
def an_extreme_starts_at_zero(original: Any) -> Any:
    return lambda type_, *, highest: each_leaf(jnp.zeros_like, original(type_, highest=highest))


@mutant(f"{EVALUATE}:_add", "sum_of_integers_wraps", 33)
def integers_are_added_as_floats(original: Any) -> Any:
    def add(a: Any, b: Any) -> Any:
        return (a.astype("float64") + b.astype("float64")).astype(a.dtype)

    return lambda one, other: jax.tree.map(add, one, other)


@mutant(f"{EVALUATE}:_operate", "share_above", 33)
def what_is_broadcast_does_not_arrive(original: Any) -> Any:
    def wrong(operator: Any, argument: Any, leaves: Any) -> Any:
        found = original(operator, argument, leaves)
        return each_leaf(jnp.zeros_like, found) if operator.name == "federated_broadcast" else found

    return wrong


@mutant(f"{EVALUATE}:_MONOIDS", "secure_sums_of_regions", 40)
def remainders_of_negative_numbers_are_negative(original: Any) -> Any:
    def add(one: Any, other: Any) -> Any:
        return jax.tree.map(lambda a, b: jnp.fmod(a + b.astype("int64"), 1000), one, other)

    def change(monoid: Any) -> Any:
        return replace(monoid, accumulate=add, merge=add)

    return in_place_of("federated_secure_modular_sum", change)(original)


@mutant(f"{STAGES}:Run._above", "sums_of_regions", 40)
def all_clients_get_what_the_first_region_has(original: Any) -> Any:
    def wrong(self: Any, placement: Any) -> Any:
        found = original(self, placement)
        return {upper: own if upper == placement else own * 0 for upper, own in found.items()}

    return wrong


@mutant(f"{STAGES}:joined", "folds_of_regions_that_do_not_commute", 40)
def regions_are_mixed_up(original: Any) -> Any:
    return lambda values: original(values[::-1])


@mutant(f"{FLAT}:FlatSequence.fold_padded", "padded_batches", 2)
def every_batch_is_seen_twice(original: Any) -> Any:
    return lambda self, step, init: original(self.repeat(2), step, init)


@mutant(f"{FLAT}:FlatSequence._locate", "padded_batches", 2)
def a_batch_is_seen_again_in_place_of_the_next(original: Any) -> Any:
    return lambda self, e, counts: original(self, jnp.where(e == 1, 0, e), counts)


@mutant(f"{FLAT}:FlatSequence._locate", "padded_batches", 2)
def padding_counts_as_examples(original: Any) -> Any:
    def wrong(self: Any, e: Any, counts: Any) -> Any:
        rows, size = original(self, e, counts)
        return rows, None if size is None else jnp.int32(rows.length)

    return wrong


@mutant(f"{FLAT}:FlatSequence._at_exact_size", "coupled_batches", 33)
def coupled_code_sees_padding(original: Any) -> Any:
    def wrong(self: Any, step: Any, carry: Any, rows: Any, size: Any) -> Any:
        padded = self._read(replace(rows, mask=jnp.arange(rows.length) < size))
        return step(carry, padded, jnp.ones(rows.length, dtype=bool))

    return wrong


@mutant(f"{FLAT}:FlatSequence._counts", "fold_over_elements", 2)
def an_empty_client_has_an_element(original: Any) -> Any:
    return lambda self: [jnp.maximum(count, 1) for count in original(self)]


@mutant(f"{FLAT}:_count_after", "exact_batches", 2)
def the_last_partial_batch_is_dropped(original: Any) -> Any:
    def wrong(op: Any, count: Any, least: Any) -> Any:
        return count // op.size if isinstance(op, Batch) else original(op, count, least)

    return wrong


@mutant(f"{FLAT}:_count_after", "transforms_in_local_code", 9)
def there_is_one_epoch_too_few(original: Any) -> Any:
    def wrong(op: Any, count: Any, least: Any) -> Any:
        return original(Repeat(max(op.count - 1, 1)) if isinstance(op, Repeat) else op, count, least)

    return wrong


@mutant(f"{FLAT}:_count_after", "transforms_in_local_code", 9)
def take_takes_all(original: Any) -> Any:
    return lambda op, count, least: count if isinstance(op, Take) else original(op, count, least)


@mutant(f"{FLAT}:permuted", "transforms_in_local_code", 9)
def all_epochs_have_one_order(original: Any) -> Any:
    return lambda key, size, position, repetition: original(key, size, position, repetition * 0)


@mutant(f"{FLAT}:permuted", "transforms_in_local_code", 9)
def shuffling_is_forgotten(original: Any) -> Any:
    return lambda key, size, position, repetition: position


@mutant(f"{COLUMNS}:Lengths.row_sizes", "ready_made_batches", 2)
def ready_made_batches_are_cut_to_the_shortest(original: Any) -> Any:
    return lambda self: original(self)[:1]


@mutant(f"{COLUMNS}:_pad_rows", "ready_made_batches", 2)
def ready_made_batches_begin_one_row_late(original: Any) -> Any:
    return lambda rows, length: original(rows, length) + 1
