# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Foedus from scratch: a language for federated computations, small enough to read in one evening.

Many clients (phones, hospitals, thermometers) hold data that stays with them, and a server wants to learn
from all of them together. A Python loop over clients would do, but nothing in it shows *where* a value is and
*what leaves a client*. So a computation becomes a value of its own: a program in a small language, which can
be printed, checked, explained before it runs, simplified, and run in different ways with one result.

    1 types       what a value is, and where         6 explain     what crosses, known before anything runs
    2 programs    six kinds of node                  7 runtimes    the reference: one client after another
    3 worlds      one walk, many meanings            8 stacking    all clients in one call, the same result
    4 checking    what each operator accepts         9 flat form   a program without detours
    5 tracing     from Python to a program          10 examples    federated averaging, a tour, exercises

Read from top to bottom; run the file for the tour. The rules quoted (N3, R1) are those of `spec.md`.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import make_dataclass
from functools import partial, wraps
from hashlib import blake2b
from math import prod

import numpy as np

# ---- 1. Types ----------------------------------------------------------------------------------------------
# A type says what a value is and, new here, where: {float32}@CLIENTS is one number at each client,
# float32@SERVER one at the server, float32@CLIENTS (without braces) the same at every client. Most mistakes
# in federated code are values in the wrong place. Once the place is part of the type, they are type errors.


def kind(name, parts, text):
    """Declares a kind of type or node: plain data, equal if its parts are equal, with a way to print it."""
    return make_dataclass(name, parts.split(), frozen=True, namespace={"__str__": text})


def sizes(tensor):
    """The shape as it prints. A size of None is unknown: it differs from client to client."""
    return f"[{','.join('?' if size is None else str(size) for size in tensor.shape)}]" if tensor.shape else ""


Tensor = kind("Tensor", "dtype shape", lambda t: f"{t.dtype}{sizes(t)}")
Function = kind("Function", "parameter result", lambda t: f"({t.parameter} -> {t.result})")
Federated = kind(
    "Federated",
    "member placement all_equal",
    lambda t: f"{t.member}@{t.placement}" if t.all_equal else f"{{{t.member}}}@{t.placement}",
)


class Struct(dict):
    """Types side by side are a type, arrays are a value, nodes a node. A tuple has the names 0, 1, 2."""

    def __str__(self):
        parts = (f"{part}" if isinstance(name, int) else f"{name}={part}" for name, part in self.items())
        return f"<{','.join(parts)}>"

    def __hash__(self):
        return hash(tuple(self.items()))


CLIENTS, SERVER, PROGRAM = "CLIENTS", "SERVER", "PROGRAM"  # the last is where constants come from
BOOL, INT32, INT64, FLOAT32 = (Tensor(dtype, ()) for dtype in ("bool", "int32", "int64", "float32"))
KEY = Tensor("uint32", (2,))
at_clients = partial(Federated, placement=CLIENTS, all_equal=False)
at_server = partial(Federated, placement=SERVER, all_equal=True)


def each_leaf(function, *trees):
    """Applies a function to what stands at the same place in several structs, however deep."""
    if not isinstance(trees[0], Struct):
        return function(*trees)
    return Struct({name: each_leaf(function, *(tree[name] for tree in trees)) for name in trees[0]})


def leaves(tree):
    """All that stands in a struct."""
    return [leaf for part in tree.values() for leaf in leaves(part)] if isinstance(tree, Struct) else [tree]


def structured(value, leaf):
    """Dicts, tuples and lists as structs, and a function applied to everything else."""
    if isinstance(value, tuple | list):
        value = dict(enumerate(value))
    return Struct({n: structured(v, leaf) for n, v in value.items()}) if isinstance(value, dict) else leaf(value)


def as_array(value):
    """Python's integers are int32 and its floats float32; arrays are what they are (rule N1)."""
    return value if hasattr(value, "dtype") else np.asarray(value, {int: "i4", float: "f4"}.get(type(value)))


def type_of(value):
    """The type of an array or a struct of arrays."""
    return each_leaf(lambda array: Tensor(array.dtype.name, array.shape), value)


def zeros(type_, unknown=0):
    """A value of a type, with a given length where the type leaves one open."""
    return each_leaf(lambda t: np.zeros([unknown if n is None else n for n in t.shape], t.dtype), type_)


def join(one, other):
    """The narrowest type that values of both types have; None if there is none."""
    match one, other:
        case Tensor(dtype, shape), Tensor() if dtype == other.dtype and len(shape) == len(other.shape):
            pairs = zip(shape, other.shape, strict=True)
            return Tensor(dtype, tuple(size if size == another else None for size, another in pairs))
        case Struct(), Struct() if list(one) == list(other):
            return Struct({name: join(one[name], other[name]) for name in one})
        case Federated(member, placement, all_equal), Federated() if placement == other.placement:
            return Federated(join(member, other.member), placement, all_equal and other.all_equal)


# ---- 2. Programs -------------------------------------------------------------------------------------------
# A program is a tree of six kinds of node (and structs of nodes). Python functions stand in one kind only:
# `Local`, NumPy code for one client or for the server, which the language does not look into.

Name = kind("Name", "name", lambda n: n.name)
Literal = kind("Literal", "data type", lambda n: f"{constant(n).tolist()}:{n.type}")  # the bytes of an array
Local = kind("Local", "function type", lambda n: f"numpy:{n.function.__name__.strip('<>')}")
Operate = kind(  # an operator; its detail is a placement or a purpose, and mostly nothing
    "Operate",
    "operator detail arguments",
    lambda n: f"{n.operator}{n.detail and '@' + n.detail}({', '.join(map(str, n.arguments))})",
)
Call = kind("Call", "function arguments", lambda n: f"{n.function}({', '.join(map(str, n.arguments))})")
Lambda = kind(  # a function: pairs of name and type, pairs of name and node, and the result's node
    "Lambda",
    "parameters bindings result",
    lambda n: "\n  ".join(
        ["(" + ", ".join(f"{name}:{type_}" for name, type_ in n.parameters) + " -> let"]
        + [f"{name} = {node}".replace("\n", "\n  ") for name, node in n.bindings]
        + [f"in {n.result})"]
    ),
)


def constant(literal):
    """The array that a literal stands for."""
    return np.frombuffer(literal.data, literal.type.dtype).reshape(literal.type.shape)


# ---- 3. Worlds ---------------------------------------------------------------------------------------------
# To run a program is to walk over it with arrays. To check it is the same walk with types; to simplify it,
# the same with nodes. So there is one walk, and two functions say what is different in each world: what a
# constant or local code means in it, and what an operator does.


def evaluate(node, scope, leaf, operate):
    """The meaning of a node in a world, given the meaning of the names around it."""
    match node:
        case Name(name):
            return scope[name]
        case Struct():
            return Struct({name: evaluate(part, scope, leaf, operate) for name, part in node.items()})
        case Operate(operator, detail, arguments):
            return operate(operator, detail, *(evaluate(part, scope, leaf, operate) for part in arguments))
        case Call(function, arguments):
            return run(function, [evaluate(part, scope, leaf, operate) for part in arguments], leaf, operate)
    return leaf(node)


def run(program, arguments, leaf, operate):
    """The meaning of a function for given arguments: its bindings one after another, then its result."""
    scope = {name: argument for (name, _), argument in zip(program.parameters, arguments, strict=True)}
    for name, node in program.bindings:
        scope[name] = evaluate(node, scope, leaf, operate)
    return evaluate(program.result, scope, leaf, operate)


# ---- 4. Checking -------------------------------------------------------------------------------------------
# The world of types: to walk through a program there without an error is to be checked. A good error says
# what is wrong, what was found, what was expected, and what to do about it.


class FederatedError(TypeError):
    """A mistake in a program or its arguments, found before it can do harm."""


def require(condition, what, found, expected, hint=None):
    """Raises unless a condition holds."""
    if not condition:
        rows = {"found": found, "expected": expected, "hint": hint}
        raise FederatedError("\n".join([what, *(f"  {name:<9} {row}" for name, row in rows.items() if row)]))


def member_at(placement, type_, operator):
    """What each member of a placement has, of a value that must be there. Most mistakes are found here."""
    hint = "aggregate it first, for example with federated_sum or federated_mean"
    if placement == CLIENTS:
        hint = "it is already one value at the server; use it as it is, or broadcast it first"
    if not isinstance(type_, Federated):
        hint = f"place it with federated_value(..., {placement})"
    form = "{T}@CLIENTS" if placement == CLIENTS else "T@SERVER"
    there = isinstance(type_, Federated) and type_.placement == placement
    require(there, f"{operator} needs a value at {placement}", type_, form, hint)
    return type_.member


def result_type(operator, detail, *types):
    """The rules I1 to I9: what each operator accepts, and the type of its result."""
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
        case "federated_zip", [Struct() as parts]:
            placement = next((part.placement for part in leaves(parts) if isinstance(part, Federated)), CLIENTS)
            members = each_leaf(lambda part: member_at(placement, part, operator), parts)
            return Federated(members, placement, all(part.all_equal for part in leaves(parts)))
        case "federated_aggregate", [value, zero, *folds, report]:
            member_at(CLIENTS, value, operator)
            for fold in folds:
                same = fold.result == zero
                require(same, f"{operator} needs a function that returns {zero}", fold, f"(... -> {zero})")
            return at_server(report.result)
        case "federated_sum" | "federated_mean", [value]:
            kinds = "iufc" if operator == "federated_sum" else "fc"  # NumPy's letters for kinds of numbers
            member = member_at(CLIENTS, value, operator)
            numbers = all(np.dtype(t.dtype).kind in kinds and None not in t.shape for t in leaves(member))
            require(numbers, f"{operator} needs numbers of known shape", member, f"dtypes of kinds {kinds}")
            return at_server(member)
    found = ", ".join(str(type_) for type_ in types if not isinstance(type_, Function))
    require(False, f"{operator} needs placed values", found, "{T}@CLIENTS or T@SERVER")


def own_type(leaf):
    """What constants and local code are in the world of types."""
    return leaf.type


# ---- 5. Tracing --------------------------------------------------------------------------------------------
# Nobody writes trees by hand. A Python function is run once on symbolic values, and each operator, instead
# of computing anything, adds a binding to the program. What a call means is up to the interpreter on top of
# a stack: a tracer records it, a runtime runs it. (Where there are threads, take a `ContextVar`.)

INTERPRETERS = []
Value = kind("Value", "node type", lambda v: f"a value of type {v.type}")  # symbolic: it has no numbers


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
        self.scope[name] = evaluate(node, self.scope, own_type, result_type)
        self.bindings.append((name, node))
        return Value(Name(name), self.scope[name])

    def call(self, program, arguments):
        """A computation called inside another is one more binding."""
        for (name, type_), argument in zip(program.parameters, arguments, strict=True):
            fits = join(argument.type, type_) == type_
            require(fits, f"The argument {name!r} has another type", argument.type, type_)
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
        call.program, call.type = program, Function(parameter, run(program, types, own_type, result_type))
        return call

    return trace


def to_node(value):
    """The node of what may stand in a program: symbolic values, local code, constants, structs of them."""

    def leaf(value):
        if isinstance(value, Value | Local):
            return value.node if isinstance(value, Value) else value
        return Literal(as_array(value).tobytes(), type_of(as_array(value)))

    return structured(value, leaf)


def run_local(function, argument):
    """Calls NumPy code. If it has several parameters, they are the fields of its argument."""
    spread = len(inspect.signature(function).parameters) > 1
    return structured(function(*argument.values()) if spread else function(argument), as_array)


def local(function, *types):
    """NumPy code as a node. Running it on zeros shows its type; two lengths show which sizes are unknown."""
    parameter = types[0] if len(types) == 1 else Struct(enumerate(types))
    with use(None), np.errstate(all="ignore"):  # no interpreter: local code cannot use the operators
        found = [type_of(run_local(function, zeros(parameter, length))) for length in (3, 5)]
    return Local(function, Function(parameter, join(*found)))


def operate(operator, *arguments):
    """Adds an operator to the program being traced. Its detail is the argument that is a string."""
    tracer, detail = INTERPRETERS[-1], "".join(a for a in arguments if isinstance(a, str))
    traced = isinstance(tracer, Tracer)
    require(traced, f"{operator} was called outside a computation", "Python", "a body under @computation")
    nodes = [to_node(a) for a in arguments if not isinstance(a, str)]
    return tracer.bind(Operate(operator, detail, tuple(nodes)))


federated_value = partial(operate, "federated_value")  # a constant and P: T to T@P
federated_broadcast = partial(operate, "federated_broadcast")  # T@SERVER to T@CLIENTS
federated_key = partial(operate, "federated_key")  # a key and a purpose: uint32[2]@SERVER to {uint32[2]}@CLIENTS
federated_zip = partial(operate, "federated_zip")  # <{A}@P,{B}@P> to {<A,B>}@P
federated_sum = partial(operate, "federated_sum")  # {T}@CLIENTS to T@SERVER
federated_mean = partial(operate, "federated_mean")  # {T}@CLIENTS to T@SERVER


def zipped(value):
    """A placed value, of one or of a tuple or dict of them; and what it is at each member."""
    value = federated_zip(value) if isinstance(value, dict | tuple) else value
    return value, getattr(value.type, "member", value.type)


def federated_map(function, value):
    """Local code at each member of a placement: (T -> U) and {T}@P to {U}@P."""
    value, member = zipped(value)
    return operate("federated_map", local(function, member), value)


def federated_apply(function, value):
    """The same for what must be at the server: (T -> U) and T@SERVER to U@SERVER."""
    value, _ = zipped(value)
    return federated_map(function, value) if member_at(SERVER, value.type, "federated_apply") else None


def federated_aggregate(value, zero, accumulate, merge, report):
    """Any fold: {T}@CLIENTS, U, (<U,T> -> U), (<U,U> -> U) and (U -> R) to R@SERVER."""
    (value, member), start = zipped(value), type_of(structured(zero, as_array))
    folds = local(accumulate, start, member), local(merge, start, start), local(report, start)
    return operate("federated_aggregate", value, zero, *folds)
