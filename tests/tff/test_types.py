# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types print, compare and complain as TFF's do."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest

import foedus.tff as tff
from foedus import types as ours


class Point(NamedTuple):
    x: object
    y: object


NOTATION = [
    (tff.TensorType(np.int32), "int32"),
    (tff.TensorType(np.float32, [10]), "float32[10]"),
    (tff.TensorType(np.float32, [None, 784]), "float32[?,784]"),
    (tff.TensorType(np.float32, None), "'float32'(shape=None)"),
    (tff.TensorType(np.str_), "str"),
    (tff.TensorType(np.bool_), "bool"),
    (tff.StructType([]), "<>"),
    (tff.StructType([np.int32, np.bool_]), "<int32,bool>"),
    (tff.StructType([("a", np.int32), ("b", np.bool_)]), "<a=int32,b=bool>"),
    (tff.StructType([("a", np.int32), np.bool_]), "<a=int32,bool>"),
    (tff.StructType({"some name": np.int32}), "<some name=int32>"),
    (tff.StructWithPythonType([np.int32], list), "<int32>"),
    (tff.SequenceType(np.int32), "int32*"),
    (tff.FunctionType(np.int32, np.bool_), "(int32 -> bool)"),
    (tff.FunctionType(None, np.float32), "( -> float32)"),
    (tff.FederatedType(np.int32, tff.CLIENTS), "{int32}@CLIENTS"),
    (tff.FederatedType(np.int32, tff.CLIENTS, True), "int32@CLIENTS"),
    (tff.FederatedType(np.int32, tff.SERVER), "int32@SERVER"),
    (tff.FederatedType(np.int32, tff.SERVER, all_equal=False), "{int32}@SERVER"),
    (tff.type_at_clients(np.int32), "{int32}@CLIENTS"),
    (tff.type_at_server(tff.TensorType(np.int32)), "int32@SERVER"),
    (tff.types.at_clients(np.int32, all_equal=True), "int32@CLIENTS"),
    (tff.AbstractType("T"), "T"),
    (tff.PlacementType(), "placement"),
    (tff.to_type((np.float32, [2])), "float32[2]"),
    (tff.to_type([("a", np.int32), ("b", tff.SequenceType(np.str_))]), "<a=int32,b=str*>"),
    (tff.to_type(OrderedDict(b=np.int32, a=tff.TensorType(np.bool_))), "<b=int32,a=bool>"),
    (tff.to_type(Point(np.int32, [np.bool_])), "<x=int32,y=<bool>>"),
    (tff.to_type(tff.structure.Struct([("a", np.int32), (None, [np.bool_])])), "<a=int32,<bool>>"),
    (tff.to_type(int), "int32"),
]


@pytest.mark.parametrize(("type_", "text"), NOTATION, ids=[text for _, text in NOTATION])
def test_compact_notation(type_: tff.Type, text: str):
    assert str(type_) == type_.compact_representation() == text
    assert type(tff.types.view(type_.foedus)) is type(type_) or isinstance(type_, tff.StructType)


def test_only_unknown_ranks_and_odd_names_print_otherwise_than_in_foedus():
    differ = {text for type_, text in NOTATION if ours.show(type_.foedus) != text}
    assert differ == {"'float32'(shape=None)", "<some name=int32>"}


def test_formatted_notation():
    state = tff.StructType(
        [("model", tff.StructType([("w", np.float32), ("b", np.float32)])), ("n", np.int32)]
    )
    type_ = tff.FunctionType(tff.FederatedType(state, tff.SERVER), tff.StructType([]))
    assert type_.formatted_representation() == (
        "(<\n  model=<\n    w=float32,\n    b=float32\n  >,\n  n=int32\n>@SERVER -> <>)"
    )
    clients = tff.FederatedType(tff.SequenceType(tff.StructType([np.int32])), tff.CLIENTS)
    assert clients.formatted_representation() == "{<\n  int32\n>*}@CLIENTS"


def test_parts():
    function = tff.FunctionType(tff.FederatedType((np.int32, [3]), tff.CLIENTS), tff.SequenceType(np.bool_))
    assert function.parameter.placement is tff.CLIENTS
    assert not function.parameter.all_equal
    assert (function.parameter.member.dtype, function.parameter.member.shape) == (np.int32, (3,))
    assert function.result.element == tff.TensorType(np.bool_)
    assert [str(child) for child in function.children()] == ["{int32[3]}@CLIENTS", "bool*"]
    struct = tff.StructType([("a", np.int32), np.bool_])
    assert (len(struct), struct.fields(), struct.a, struct["a"]) == (2, ["a"], struct[0], struct[0])
    assert [name for name, _ in struct.items()] == ["a", None]
    assert [str(t) for t in struct] == ["int32", "bool"]
    assert (struct.is_struct(), struct.is_tensor(), function.is_function()) == (True, False, True)
    with pytest.raises(AttributeError, match="does not have a member 'c'"):
        print(struct.c)


def test_containers_count_for_equality_and_not_for_assignability():
    one, other = tff.StructWithPythonType([np.int32], list), tff.StructWithPythonType([np.int32], tuple)
    assert (one.python_container, tff.StructType([np.int32]).python_container) == (list, None)
    assert one != other
    assert not one.is_identical_to(other)
    assert one.is_equivalent_to(other)
    assert one.is_assignable_from(tff.StructType([np.int32]))


ASSIGNABLE = [
    (tff.TensorType(np.int32, [None]), tff.TensorType(np.int32, [3]), True),
    (tff.TensorType(np.int32, [3]), tff.TensorType(np.int32, [None]), False),
    (tff.TensorType(np.int32, None), tff.TensorType(np.int32, [3]), True),
    (tff.TensorType(np.int32), tff.TensorType(np.int64), False),
    (tff.StructType([("a", np.int32)]), tff.StructType([np.int32]), True),
    (tff.StructType([("a", np.int32)]), tff.StructType([("b", np.int32)]), False),
    (tff.type_at_clients(np.int32), tff.type_at_clients(np.int32, all_equal=True), True),
    (tff.type_at_clients(np.int32, all_equal=True), tff.type_at_clients(np.int32), False),
    (tff.type_at_clients(np.int32), tff.type_at_server(np.int32), False),
]


@pytest.mark.parametrize(("target", "source", "fits"), ASSIGNABLE)
def test_assignability_and_its_sentences(target: tff.Type, source: tff.Type, fits: bool):
    assert target.is_assignable_from(source) is fits
    if fits:
        target.check_assignable_from(source)
        return
    with pytest.raises(tff.types.TypeNotAssignableError) as caught:
        target.check_assignable_from(source)
    assert str(caught.value) == f"Expected {source} to be assignable to {target}."
    with pytest.raises(tff.types.TypesNotEquivalentError) as unequal:
        target.check_equivalent_to(source)
    assert str(unequal.value) == f"Expected {target} to be equivalent to {source}."
    assert isinstance(caught.value, TypeError)


def test_refusals():
    with pytest.raises(TypeError, match="Abstract types are not comparable"):
        tff.AbstractType("T").is_assignable_from(tff.AbstractType("T"))
    with pytest.raises(TypeError, match="Expected a dtype, found 'spam'"):
        tff.TensorType("spam")
    error = tff.types.UnexpectedTypeError(tff.TensorType, tff.SequenceType(np.int32))
    assert str(error) == f"Expected type of kind {tff.TensorType}, found type int32*."


def test_bytes():
    type_ = tff.type_at_clients(tff.StructType([("a", np.int32)]))
    assert tff.types.deserialize_type(tff.types.serialize_type(type_)) == type_


def test_specifications_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    batch = OrderedDict(x=tf.TensorSpec([None, 784], tf.float32), y=tf.TensorSpec([None], tf.int32))
    assert str(tff.to_type(batch)) == "<x=float32[?,784],y=int32[?]>"
    assert str(tff.TensorType(tf.string, tf.TensorShape(None))) == "'str'(shape=None)"
    assert str(tff.StructType([("a", tf.int32), ("b", tf.bool)])) == "<a=int32,b=bool>"
    assert str(tff.SequenceType(batch)) == "<x=float32[?,784],y=int32[?]>*"
    specs = tff.tensorflow.type_to_tf_tensor_specs(tff.to_type(batch))
    assert specs == batch
    ranks = tff.tensorflow.structure_from_tensor_type_tree(lambda t: len(t.shape), tff.SequenceType(batch))
    assert ranks == OrderedDict(x=2, y=1)
    with pytest.raises(ValueError, match=r"Expected a type of tensors, found int32@SERVER\."):
        tff.tensorflow.structure_from_tensor_type_tree(str, tff.types.at_server(np.int32))
    assert tff.types.tensorflow_to_type(specs) == tff.tensorflow.to_type(batch)
