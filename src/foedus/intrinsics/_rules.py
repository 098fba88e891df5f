# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The typing rules of the operators, one function each; the numbers are those of the spec."""

from __future__ import annotations

from foedus.errors import PlacementError, TypeMismatchError, place
from foedus.types import (
    CLIENTS,
    KEY,
    SERVER,
    STRING,
    Federated,
    Function,
    PlacementLiteral,
    Sequence,
    Struct,
    Tensor,
    Type,
    difference,
    field_path,
    int32,
    is_above,
    walk,
)


class RuleError(Exception):
    """An argument breaks a rule; becomes an error for the user once the operator's name is known."""

    def __init__(
        self,
        sort: type[TypeMismatchError],
        needs: str,
        found: object,
        expected: str,
        *,
        path: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(needs)
        self.sort, self.needs, self.found, self.expected = sort, needs, found, expected
        self.path, self.hint = path, hint

    def located(self, name: str) -> TypeMismatchError:
        """The error that the user sees."""
        return self.sort(
            f"{name} needs {self.needs}",
            found=self.found,
            expected=self.expected,
            at=place(f"{self.path} of the argument" if self.path else "the argument"),
            hint=self.hint,
        )


def _fields(argument: Type, *names: str) -> tuple[Type, ...]:
    if not isinstance(argument, Struct) or len(argument.fields) != len(names):
        raise RuleError(TypeMismatchError, f"{len(names)} arguments", argument, ", ".join(names))
    return tuple(type_ for _, type_ in argument.fields)


def _placed(type_: Type, placement: PlacementLiteral, path: str = "") -> Federated:
    if isinstance(type_, Federated) and type_.placement == placement:
        return type_
    form = "{T}@CLIENTS" if placement == CLIENTS else f"T@{placement}"
    hint = None
    if isinstance(type_, Federated):
        hint = (
            "it is already one value at the server; use it as it is, or broadcast it first"
            if placement == CLIENTS
            else "aggregate it first, for example with federated_sum or federated_mean"
        )
    elif isinstance(type_, Struct) and any(isinstance(t, Federated) for t in walk(type_)):
        hint = "zip the parts into one value with federated_zip"
    elif not isinstance(type_, Function):
        hint = f"place it with federated_value(..., {placement})"
    raise RuleError(PlacementError, f"a value at {placement}", type_, form, path=path, hint=hint)


def _function(type_: Type, path: str) -> Function:
    if not isinstance(type_, Function):
        raise RuleError(TypeMismatchError, "a function", type_, "(T -> U)", path=path)
    return type_


def _takes(function: Function, argument: Type, path: str) -> None:
    """Rule: the function's parameter accepts the argument."""
    if function.parameter is None:
        raise RuleError(
            TypeMismatchError, "a function of one argument", function, f"({argument} -> U)", path=path
        )
    found = difference(function.parameter, argument)
    if found is not None:
        raise RuleError(
            TypeMismatchError,
            f"a function that takes {argument}",
            f"{function}\nwhich differs at {found.path or 'the top'}: {found.expected} is not {found.found}",
            f"({argument} -> U)",
            path=path,
        )


def _gives(function: Function, result: Type, path: str) -> None:
    if difference(result, function.result) is not None:
        raise RuleError(
            TypeMismatchError, f"a function that returns {result}", function, f"(... -> {result})", path=path
        )


def _leaves(type_: Type, path: str = "") -> list[tuple[str, Tensor | Sequence]]:
    match type_:
        case Struct(fields):
            inner = [_leaves(t, path + field_path(i, name)) for i, (name, t) in enumerate(fields)]
            return [leaf for leaves in inner for leaf in leaves]
        case Tensor() | Sequence():
            return [(path, type_)]
        case _:
            raise RuleError(
                TypeMismatchError, "plain values", type_, "tensors and structs of them", path=path
            )


def _numeric(type_: Type, kinds: str, word: str, path: str = "") -> None:
    """Every leaf is a tensor of these kinds of dtype, of known shape."""
    for where, leaf in _leaves(type_, path):
        known = isinstance(leaf, Tensor) and leaf.shape is not None and None not in leaf.shape
        if not isinstance(leaf, Tensor) or leaf.dtype == STRING or leaf.dtype.kind not in kinds or not known:
            raise RuleError(
                TypeMismatchError, f"{word} of known shape", leaf, f"tensors of {word}", path=where
            )


_FLOATS = "fcV"  # bfloat16's kind is V
_NUMBERS = "iu" + _FLOATS
_ORDERED = "iufV"


def value(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I1: any plain value, at any placement, all equal."""
    if placement is None:
        raise RuleError(PlacementError, "a placement", argument, "CLIENTS or SERVER")
    if any(isinstance(t, Function | Federated) for t in walk(argument)):
        raise RuleError(
            TypeMismatchError, "a plain value", argument, "tensors, sequences and structs of them"
        )
    return Federated(argument, placement, all_equal=True)


def evaluate(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I2: a function without argument, run once per member of the placement."""
    if placement is None:
        raise RuleError(PlacementError, "a placement", argument, "CLIENTS or SERVER")
    function = _function(argument, "")
    if function.parameter is not None:
        raise RuleError(TypeMismatchError, "a function without argument", argument, "( -> T)")
    return Federated(function.result, placement, placement.default_all_equal)


def broadcast(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I3: down to all members of a lower placement; each gets the value of the member above it."""
    target = placement or CLIENTS
    if not isinstance(argument, Federated) or argument.placement == target or target == SERVER:
        source = _placed(argument, SERVER)
    else:
        source = argument
    if not is_above(source.placement, target):
        raise RuleError(PlacementError, f"a value above {target}", argument, f"T@P, for P above {target}")
    return Federated(source.member, target, source.all_equal)


def key(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I4: a random key of each client's own, from the server's key, the client's id and a purpose."""
    server_key, purpose = _fields(argument, "key", "purpose")
    if _placed(server_key, SERVER, ".key").member != KEY:
        raise RuleError(TypeMismatchError, "a key", server_key, f"{KEY}@SERVER", path=".key")
    if purpose != Tensor(STRING):
        raise RuleError(TypeMismatchError, "a purpose", purpose, "str", path=".purpose")
    return Federated(KEY, CLIENTS, all_equal=False)


def map_(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I5: a function at each member of a placement."""
    fn, mapped = _fields(argument, "fn", "value")
    function = _function(fn, ".fn")
    if not isinstance(mapped, Federated):
        hint = (
            "zip the parts into one value with federated_zip"
            if any(isinstance(t, Federated) for t in walk(mapped))
            else None
        )
        raise RuleError(
            PlacementError, "a placed value", mapped, "{T}@CLIENTS or T@SERVER", path=".value", hint=hint
        )
    _takes(function, mapped.member, ".fn")
    return Federated(function.result, mapped.placement, mapped.placement.default_all_equal)


def zip_(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I6: a struct of values at one placement becomes one value there."""
    found = [t for t in walk(argument) if isinstance(t, Federated)]
    if not isinstance(argument, Struct) or not found:
        raise RuleError(PlacementError, "a struct of placed values", argument, "<{A}@P,{B}@P,...>")
    first = found[0].placement
    odd = next((t for t in found if t.placement != first), None)
    if odd is not None:
        raise RuleError(
            PlacementError,
            "values at one placement",
            argument,
            f"all of them at {first}",
            hint="broadcast the server's value first" if SERVER in (first, odd.placement) else None,
        )
    return Federated(_unplaced(argument, ""), first, all(t.all_equal for t in found))


def _unplaced(type_: Type, path: str) -> Type:
    match type_:
        case Federated(member):
            return member
        case Struct(fields, container):
            inner = ((name, _unplaced(t, path + field_path(i, name))) for i, (name, t) in enumerate(fields))
            return Struct(tuple(inner), container)
        case _:
            raise RuleError(
                PlacementError,
                "a struct of placed values",
                type_,
                "{T}@P",
                path=path,
                hint="place it with federated_value",
            )


def _reducible(type_: Type, placement: PlacementLiteral | None, path: str = "") -> tuple[Type, Federated]:
    """The members of what a reduction reads, and a function of what it makes of them, at its target."""
    target = placement or SERVER
    if not isinstance(type_, Federated) or type_.placement in (SERVER, target):
        _placed(type_, CLIENTS, path)
        raise RuleError(PlacementError, f"a target above {CLIENTS}", type_, "SERVER or a tier", path=path)
    if not is_above(target, type_.placement):
        expected = f"{{T}}@P, for P below {target}"
        raise RuleError(PlacementError, f"a value below {target}", type_, expected, path=path)
    return type_.member, Federated(type_.member, target, target.default_all_equal)


def aggregate(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I7: a fold of the clients' values by accumulate, merge and report."""
    names = ("value", "zero", "accumulate", "merge", "report")
    value_type, zero, accumulate, merge, report = _fields(argument, *names)
    member, reduced = _reducible(value_type, placement, ".value")
    functions = [_function(t, f".{n}") for n, t in zip(names[2:], (accumulate, merge, report), strict=True)]
    _takes(functions[0], Struct(((None, zero), (None, member))), ".accumulate")
    _gives(functions[0], zero, ".accumulate")
    _takes(functions[1], Struct(((None, zero), (None, zero))), ".merge")
    _gives(functions[1], zero, ".merge")
    _takes(functions[2], zero, ".report")
    return Federated(functions[2].result, reduced.placement, reduced.all_equal)


def _reduced(
    argument: Type, placement: PlacementLiteral | None, kinds: str, word: str, path: str = ""
) -> Type:
    member, reduced = _reducible(argument, placement, path)
    _numeric(member, kinds, word, path)
    return reduced


def sum_(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I8: the sum of numbers, element by element."""
    return _reduced(argument, placement, _NUMBERS, "numbers")


def mean(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I9: the mean of floating point numbers, element by element, every client counted once."""
    return _reduced(argument, placement, _FLOATS, "floating point or complex numbers")


def weighted_mean(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I10: the mean with a weight a client."""
    value_type, weight = _fields(argument, "value", "weight")
    member, _ = _reducible(weight, placement, ".weight")
    if not isinstance(member, Tensor) or member.shape != () or member.dtype.kind not in _ORDERED:
        raise RuleError(
            TypeMismatchError, "a weight that is one number", member, "a scalar number", path=".weight"
        )
    result = _reduced(value_type, placement, _FLOATS, "floating point or complex numbers", ".value")
    assert isinstance(value_type, Federated)
    assert isinstance(weight, Federated)
    if value_type.placement != weight.placement:
        expected = f"{{W}}@{value_type.placement}"
        raise RuleError(PlacementError, "weights where the values are", weight, expected, path=".weight")
    return result


def extremum(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I11: the least or the greatest, element by element."""
    return _reduced(argument, placement, _ORDERED, "integers or floating point numbers")


def _secure(argument: Type, placement: PlacementLiteral | None, bound: str) -> Type:
    value_type, limit = _fields(argument, "value", bound)
    reduced = _reduced(value_type, placement, "iu", "integers", ".value")
    assert isinstance(reduced, Federated)
    _bounds(limit, reduced.member, f".{bound}")
    return reduced


def _bounds(limit: Type, member: Type, path: str) -> None:
    """One integer for all leaves, or one a leaf."""
    if isinstance(limit, Tensor):
        if limit.shape != () or limit.dtype.kind not in "iu":
            raise RuleError(TypeMismatchError, "an integer as bound", limit, "an integer", path=path)
        return
    if (
        not isinstance(limit, Struct)
        or not isinstance(member, Struct)
        or len(limit.fields) != len(member.fields)
    ):
        expected = f"an integer, or a struct like {member}"
        raise RuleError(TypeMismatchError, "bounds that match the value", limit, expected, path=path)
    for i, ((name, own), (_, part)) in enumerate(zip(limit.fields, member.fields, strict=True)):
        _bounds(own, part, path + field_path(i, name))


def secure_sum(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I12: the sum of integers from 0 to a bound, of which nobody sees the terms."""
    return _secure(argument, placement, "max_input")


def secure_sum_bitwidth(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I13: the sum of integers of so many bits, of which nobody sees the terms."""
    return _secure(argument, placement, "bitwidth")


def secure_modular_sum(argument: Type, placement: PlacementLiteral | None) -> Type:
    """I14: the sum of integers modulo a number, of which nobody sees the terms."""
    return _secure(argument, placement, "modulus")


def select(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I15: each client gets the parts of the server's value that it has keys for."""
    keys, max_key, server_value, select_fn = _fields(argument, "keys", "max_key", "server_value", "select_fn")
    own = _placed(keys, CLIENTS, ".keys").member
    known = isinstance(own, Tensor) and own.shape is not None and len(own.shape) == 1
    if not isinstance(own, Tensor) or own.dtype != int32.dtype or not known or None in (own.shape or ()):
        raise RuleError(TypeMismatchError, "keys of known number", own, "int32[N]", path=".keys")
    if _placed(max_key, SERVER, ".max_key").member != int32:
        raise RuleError(TypeMismatchError, "a bound of the keys", max_key, "int32@SERVER", path=".max_key")
    whole = _placed(server_value, SERVER, ".server_value").member
    function = _function(select_fn, ".select_fn")
    _takes(function, Struct(((None, whole), (None, int32))), ".select_fn")
    return Federated(Sequence(function.result), CLIENTS, all_equal=False)


def _sequence(type_: Type, path: str) -> Sequence:
    if not isinstance(type_, Sequence):
        raise RuleError(TypeMismatchError, "a sequence", type_, "T*", path=path)
    return type_


def sequence_map(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I16: a function of every element."""
    fn, value_type = _fields(argument, "fn", "value")
    function = _function(fn, ".fn")
    _takes(function, _sequence(value_type, ".value").element, ".fn")
    return Sequence(function.result)


def sequence_reduce(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I17: a fold over the elements in order."""
    value_type, zero, op = _fields(argument, "value", "zero", "op")
    element = _sequence(value_type, ".value").element
    function = _function(op, ".op")
    _takes(function, Struct(((None, zero), (None, element))), ".op")
    _gives(function, zero, ".op")
    return zero


def sequence_sum(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I18: the sum of the elements."""
    element = _sequence(argument, "").element
    _numeric(element, _NUMBERS, "numbers")
    return element


def constant(result: Type, _placement: PlacementLiteral | None) -> Type:
    """I19: numbers that only the type tells: zero, and what is neutral for the least and the greatest."""
    _numeric(result, _NUMBERS, "numbers")
    return result


def of_pair(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I20: two values of one type, element by element."""
    one, other = _fields(argument, "a value", "another")
    if difference(one, other) is not None or difference(other, one) is not None:
        raise RuleError(TypeMismatchError, "two values of one type", argument, "<T,T>")
    _numeric(one, _NUMBERS, "numbers")
    return one


def by_scalar(argument: Type, _placement: PlacementLiteral | None) -> Type:
    """I21: a value, each element of it by one number, which takes on the element's dtype."""
    value_type, number = _fields(argument, "a value", "a number")
    _numeric(value_type, _NUMBERS, "numbers")
    if not isinstance(number, Tensor) or number.shape != () or number.dtype.kind not in _ORDERED:
        raise RuleError(TypeMismatchError, "one number", number, "a scalar number", path="[1]")
    return value_type
