# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Foedus from scratch: a language for federated computations, small enough to read in one evening.

Many clients (phones, hospitals, thermometers) hold data that stays with them, and a server wants to learn from
all of them together. A Python loop over clients would do, but nothing in it shows *where* a value is and *what
leaves a client*. So a computation becomes a value of its own: a program in a small language, which can be
printed, checked, explained before it runs, simplified, and run in different ways with one result.

    1 types       what a value is, and where       6 runtimes    the reference: one client after another
    2 programs    seven kinds of node              7 explain     what crosses, known before anything runs
    3 worlds      one walk, many meanings          8 flat form   a program without detours
    4 checking    what each operator accepts       9 stacking    all clients in one call, the same result
    5 tracing     from Python to a program        10 examples    federated averaging, a tour, exercises

Read from top to bottom. `python foedus_from_scratch.py` gives the tour. Rules quoted here are those of `spec.md`.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import make_dataclass, replace
from functools import partial, wraps
from hashlib import blake2b
from math import prod

import numpy as np

# ---- 1. Types ---------------------------------------------------------------------------------------------
# A type says what a value is and, new here, where: {float32}@CLIENTS is one number at each client,
# float32@SERVER one at the server, float32@CLIENTS (without braces) the same at every client. Most mistakes in
# federated code are values in the wrong place. Once the place is part of the type, they are type errors.


def tree(name, parts):
    """Declares a kind of type or node: plain data, equal if its parts are equal, printed by `show`."""
    return make_dataclass(name, parts.split(), frozen=True, namespace={"__str__": lambda self: show(self)})


Tensor = tree("Tensor", "dtype shape")  # an array; a size of None is unknown and differs from client to client
Struct = tree("Struct", "fields")  # values side by side: pairs of name and type; the names 0, 1, 2 do not print
Function = tree("Function", "parameter result")
Federated = tree("Federated", "member placement all_equal")

CLIENTS, SERVER, PROGRAM = "CLIENTS", "SERVER", "PROGRAM"  # the last is where constants come from
BOOL, INT32, INT64, FLOAT32 = (Tensor(dtype, ()) for dtype in ("bool", "int32", "int64", "float32"))
KEY = Tensor("uint32", (2,))
at_clients = partial(Federated, placement=CLIENTS, all_equal=False)
at_server = partial(Federated, placement=SERVER, all_equal=True)

# The values themselves are arrays and nested dicts of arrays. A tuple is a dict with the names 0, 1, 2.


def fields_of(value):
    """The pairs of name and item of a dict, tuple or list; None for anything else."""
    if isinstance(value, tuple | list):
        return tuple(enumerate(value))
    return tuple(value.items()) if isinstance(value, dict) else None


def plain(value):
    """A Python value as arrays in dicts. Python's integers are int32 and its floats float32 (rule N1)."""
    if fields_of(value) is not None:
        return {name: plain(item) for name, item in fields_of(value)}
    return value if hasattr(value, "dtype") else np.asarray(value, {int: "i4", float: "f4"}.get(type(value)))


def each_leaf(function, value, *others):
    """Applies a function to the arrays that stand at the same place in values of one type."""
    if not isinstance(value, dict):
        return function(value, *others)
    return {name: each_leaf(function, value[name], *(other[name] for other in others)) for name in value}


def type_of(value):
    """The type of arrays in dicts."""
    if isinstance(value, dict):
        return Struct(tuple((name, type_of(item)) for name, item in value.items()))
    return Tensor(value.dtype.name, value.shape)


def zeros(type_, unknown=0):
    """A value of a type, with a given length where the type leaves one open."""
    if isinstance(type_, Struct):
        return {name: zeros(field, unknown) for name, field in type_.fields}
    return np.zeros([unknown if size is None else size for size in type_.shape], type_.dtype)


def tensors(type_):
    """The types of all arrays in a value."""
    return [t for _, field in type_.fields for t in tensors(field)] if isinstance(type_, Struct) else [type_]


def join(one, other):
    """The narrowest type that values of both types have; None if there is none."""
    match one, other:
        case Tensor(dtype, shape), Tensor() if dtype == other.dtype and len(shape) == len(other.shape):
            return Tensor(dtype, tuple(a if a == b else None for a, b in zip(shape, other.shape, strict=True)))
        case Struct(fields), Struct() if dict(fields).keys() == dict(other.fields).keys():
            pairs = zip(fields, other.fields, strict=True)
            return Struct(tuple((name, join(field, another)) for (name, field), (_, another) in pairs))
        case Federated(member, placement, all_equal), Federated() if placement == other.placement:
            return Federated(join(member, other.member), placement, all_equal and other.all_equal)


def fits(source, target):
    """Whether a value of one type can be used where another is needed (rules A1, A2 and A5)."""
    return join(source, target) == target


# ---- 2. Programs ------------------------------------------------------------------------------------------
# A program is a tree of seven kinds of node. Python functions stand in one kind only: `Local`, NumPy code for
# one client or the server, which the language does not look into.

Name = tree("Name", "name")  # a parameter or a binding
Literal = tree("Literal", "data type")  # a constant: the bytes of an array, and its type
Local = tree("Local", "function type")  # NumPy code
Record = tree("Record", "fields")  # a struct: pairs of name and node
Operate = tree("Operate", "operator detail arguments")  # the detail is a placement or a purpose, mostly nothing
Lambda = tree("Lambda", "parameters bindings result")  # pairs of name and type, pairs of name and node, a node
Call = tree("Call", "function arguments")  # a computation inside another


def show(tree):
    """The text of a type or a program. Only this and `evaluate` know all kinds of node."""
    match tree:
        case Tensor(dtype, shape):
            return f"{dtype}[{','.join('?' if n is None else str(n) for n in shape)}]" if shape else dtype
        case Struct(fields) | Record(fields):
            return f"<{','.join(f'{t}' if isinstance(name, int) else f'{name}={t}' for name, t in fields)}>"
        case Function(parameter, result):
            return f"({parameter} -> {result})"
        case Federated(member, placement, all_equal):
            return f"{member}@{placement}" if all_equal else f"{{{member}}}@{placement}"
        case Name(name):
            return name
        case Literal(data, type_):
            return f"{np.frombuffer(data, type_.dtype).reshape(type_.shape).tolist()}:{type_}"
        case Local(function):
            return f"numpy:{function.__name__.strip('<>')}"
        case Operate(operator, detail, arguments):
            return f"{operator}{detail and '@' + detail}({', '.join(map(str, arguments))})"
        case Lambda(parameters, bindings, result):
            lines = "".join(f"\n{name} = {node}" for name, node in bindings).replace("\n", "\n  ")
            return f"({', '.join(f'{name}:{t}' for name, t in parameters)} -> let{lines}\n  in {result})"
        case Call(function, arguments):
            return f"{function}({', '.join(map(str, arguments))})"
        case _:
            return repr(tree)


# ---- 3. Worlds --------------------------------------------------------------------------------------------
# To run a program is to walk over it with arrays. To check it is the same walk with types; to simplify it, the
# same with nodes. So there is one walk, and three functions, a world, say what a constant or local code is
# in it, what a struct is, and what an operator does. Four worlds follow: types, nodes and two of arrays.

World = tree("World", "leaf record operate")


def evaluate(node, scope, world):
    """The meaning of a node in a world, given the meaning of the names around it."""
    match node:
        case Name(name):
            return scope[name]
        case Literal() | Local():
            return world.leaf(node)
        case Record(fields):
            return world.record({name: evaluate(part, scope, world) for name, part in fields})
        case Operate(operator, detail, arguments):
            return world.operate(operator, detail, [evaluate(part, scope, world) for part in arguments])
        case Call(function, arguments):
            return run(function, [evaluate(part, scope, world) for part in arguments], world)


def run(program, arguments, world):
    """The meaning of a function for given arguments: its bindings one after another, then its result."""
    scope = {name: argument for (name, _), argument in zip(program.parameters, arguments, strict=True)}
    for name, node in program.bindings:
        scope[name] = evaluate(node, scope, world)
    return evaluate(program.result, scope, world)


# ---- 4. Checking ------------------------------------------------------------------------------------------
# A good error says what is wrong, what was found, what was expected, and what to do about it.


class FederatedError(TypeError):
    """A mistake in a program or its arguments, found before it can do harm."""


def require(condition, what, found, expected, hint=None):
    """Raises unless a condition holds."""
    if not condition:
        rows = {"found": found, "expected": expected, "hint": hint}
        raise FederatedError("\n".join([what, *(f"  {name:<9} {row}" for name, row in rows.items() if row)]))


def member_at(placement, type_, operator):
    """What each member of a placement has, of a value that must be there. Many mistakes are found here."""
    hint = "aggregate it first, for example with federated_sum or federated_mean"
    if placement == CLIENTS:
        hint = "it is already one value at the server; use it as it is, or broadcast it first"
    if not isinstance(type_, Federated):
        hint = f"place it with federated_value(..., {placement})"
    form = "{T}@CLIENTS" if placement == CLIENTS else "T@SERVER"
    there = isinstance(type_, Federated) and type_.placement == placement
    require(there, f"{operator} needs a value at {placement}", type_, form, hint)
    return type_.member


def result_type(operator, detail, types):
    """The rules I1 to I10: what each operator accepts, and the type of its result."""
    match operator, types:
        case "federated_value", [member]:
            return Federated(member, detail, all_equal=True)
        case "federated_broadcast", [value]:
            return Federated(member_at(SERVER, value, operator), CLIENTS, all_equal=True)
        case "federated_key", [key]:
            require(member_at(SERVER, key, operator) == KEY, f"{operator} needs a key", key, f"{KEY}@SERVER")
            return at_clients(KEY)
        case "federated_map", [Function(_, result), Federated(_, placement)]:
            return Federated(result, placement, all_equal=placement == SERVER)
        case "federated_zip", [Struct(((_, Federated(_, placement)), *_) as fields)]:
            zipped = Struct(tuple((name, member_at(placement, field, operator)) for name, field in fields))
            return Federated(zipped, placement, all(field.all_equal for _, field in fields))
        case "federated_aggregate", [value, zero, *folds, report]:
            member_at(CLIENTS, value, operator)
            for fold in folds:
                same = fits(fold.result, zero)
                require(same, f"{operator} needs a function that returns {zero}", fold, f"(... -> {zero})")
            return at_server(report.result)
        case "federated_sum" | "federated_mean" | "federated_weighted_mean", [value, *weights]:
            kinds = "iufc" if operator == "federated_sum" else "fc"  # as NumPy names kinds of dtypes
            for placed, needed in (value, kinds), *((weight, "iuf") for weight in weights):
                found = tensors(member_at(CLIENTS, placed, operator))
                ok = all(np.dtype(t.dtype).kind in needed and None not in t.shape for t in found)
                require(ok, f"{operator} needs numbers of known shape", placed, f"dtypes of kinds {needed}")
            return at_server(value.member)
    found = ", ".join(str(type_) for type_ in types if not isinstance(type_, Function))
    require(False, f"{operator} needs placed values", found, "{T}@CLIENTS or T@SERVER")


# The world in which every value is its type. To walk through it without an error is to be checked.
TYPES = World(lambda leaf: leaf.type, lambda fields: Struct(tuple(fields.items())), result_type)


# ---- 5. Tracing -------------------------------------------------------------------------------------------
# Nobody writes trees by hand. A Python function is run once on symbolic values, and each operator, instead of
# computing anything, adds a binding to the program. What a call means is up to the interpreter on top of a
# stack: a tracer records it, a runtime runs it. (Where there are threads, take a `contextvars.ContextVar`.)

INTERPRETERS = []
Value = tree("Value", "node type")  # symbolic: it has a type but no numbers


@contextmanager
def use(interpreter):
    """Within `with use(interpreter):`, calls of computations mean what that interpreter makes of them."""
    INTERPRETERS.append(interpreter)
    try:
        yield interpreter
    finally:
        INTERPRETERS.pop()


class Tracer:
    """The interpreter that records."""

    def __init__(self, parameters):
        self.scope, self.bindings = dict(parameters), []

    def bind(self, node):
        """Checks a node and gives it a name, so that it is computed once however often it is used."""
        name = f"v{len(self.bindings) + 1}"
        self.scope[name] = evaluate(node, self.scope, TYPES)
        self.bindings.append((name, node))
        return Value(Name(name), self.scope[name])

    def call(self, program, arguments):
        """A computation called inside another is one more binding."""
        for argument, (name, type_) in zip(arguments, program.parameters, strict=True):
            require(fits(argument.type, type_), f"Wrong argument {name!r}", argument.type, type_)
        return self.bind(Call(program, tuple(map(to_node, arguments))))


def computation(*types):
    """Makes a Python function, with a type for each parameter, a computation."""

    def trace(function):
        parameters = tuple(zip(inspect.signature(function).parameters, types, strict=True))
        with use(Tracer(parameters)) as tracer:
            result = to_node(function(*(Value(Name(name), type_) for name, type_ in parameters)))
        program = Lambda(parameters, tuple(tracer.bindings), result)
        call = wraps(function)(lambda *arguments: INTERPRETERS[-1].call(program, arguments))
        parameter = types[0] if len(types) == 1 else Struct(parameters)
        call.program, call.type = program, Function(parameter, run(program, types, TYPES))
        return call

    return trace


def to_node(value):
    """The node of what may stand in a program: symbolic values, local code, constants, and structs of them."""
    if fields_of(value) is not None:
        return Record(tuple((name, to_node(item)) for name, item in fields_of(value)))
    if isinstance(value, Value | Local):
        return value.node if isinstance(value, Value) else value
    return Literal(plain(value).tobytes(), type_of(plain(value)))


def run_local(function, argument):
    """Calls NumPy code. If it has several parameters, they are the fields of its argument."""
    spread = len(inspect.signature(function).parameters) > 1
    return plain(function(*argument.values()) if spread else function(argument))


def local(function, *types):
    """NumPy code as a node. Running it on zeros shows its type; two lengths show which sizes are unknown."""
    parameter = types[0] if len(types) == 1 else Struct(tuple(enumerate(types)))
    with use(None), np.errstate(all="ignore"):  # without an interpreter, local code cannot use the operators
        found = [type_of(run_local(function, zeros(parameter, length))) for length in (3, 5)]
    return Local(function, Function(parameter, join(*found)))


def operate(operator, *arguments):
    """Adds an operator to the program being traced. Its detail is the argument that is a string."""
    tracer, detail = INTERPRETERS[-1], "".join(a for a in arguments if isinstance(a, str))
    inside = isinstance(tracer, Tracer)
    require(inside, f"{operator} was called outside a computation", "plain Python", "a function under @computation")
    return tracer.bind(Operate(operator, detail, tuple(to_node(a) for a in arguments if not isinstance(a, str))))
