# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Foedus from scratch: a language for federated computations, small enough to read in one evening.

Many clients (phones, hospitals, thermometers) hold data that stays with them, and a server wants to learn
from all of them together. A Python loop over clients would do, but nothing in it shows *where* a value is and
*what leaves a client*. So a computation becomes a value of its own: a program in a small language, which can
be printed, checked, explained before it runs, simplified, and run in different ways with one result. Read
from top to bottom; exercises are at the end. Run the file for a tour. Rules quoted are those of `spec.md`.
"""

import inspect
from collections import namedtuple
from dataclasses import make_dataclass
from functools import partial, reduce
from hashlib import blake2b

import numpy as np

# ---- 1. Types. A type says what a value is and, new here, where: {float32}@CLIENTS is one number a client,
# float32@SERVER one at the server, float32@CLIENTS (without braces) the same one for all clients. The usual
# mistake in federated code is a value in the wrong place; with the place in its type, that is a type error.


def kind(name, parts, text=repr, **options):
    """Declares a kind of type or node: plain data, equal if its parts are equal, with a way to print it."""
    return make_dataclass(name, parts.split(), frozen=True, namespace={"__str__": text}, **options)


class Struct(dict):
    """Types side by side make a type, arrays a value, nodes a node. A tuple has the names 0, 1, 2."""

    def __str__(self):
        return f"<{','.join(f'{v}' if isinstance(name, int) else f'{name}={v}' for name, v in self.items())}>"

    def __hash__(self):
        return hash(tuple(self.items()))


def each_leaf(function, tree, *others):
    """Applies a function to what has the same place in structs; dicts, tuples and lists become structs."""
    if isinstance(tree, tuple | list):
        tree = dict(enumerate(tree))
    if not isinstance(tree, dict):
        return function(tree, *others)
    return Struct({k: each_leaf(function, part, *(other[k] for other in others)) for k, part in tree.items()})


Tensor = kind(  # a size of None is unknown, and differs from client to client
    "Tensor", "dtype shape", lambda t: f"{t.dtype}{list(t.shape) or ''}".replace(" ", "").replace("None", "?")
)
Function = kind("Function", "parameter result", lambda t: f"({t.parameter} -> {t.result})")
Placed = kind(
    "Placed",
    "member placement all_equal",
    lambda t: f"{t.member}@{t.placement}" if t.all_equal else f"{{{t.member}}}@{t.placement}",
)
CLIENTS, SERVER, PROGRAM = "CLIENTS", "SERVER", "PROGRAM"  # constants come from the program
FLOAT32, INT64, BOOL = (Tensor(dtype, ()) for dtype in ("float32", "int64", "bool"))
KEY = Tensor("uint32", (2,))
at_clients = partial(Placed, placement=CLIENTS, all_equal=False)
at_server = partial(Placed, placement=SERVER, all_equal=True)
type_of = partial(each_leaf, lambda leaf: Tensor(leaf.dtype.name, leaf.shape))  # of arrays in structs


def leaves(tree):
    """All that stands in a struct, in order."""
    return [leaf for part in tree.values() for leaf in leaves(part)] if isinstance(tree, Struct) else [tree]


def array(value):
    """Python's integers are int32 and its floats float32; arrays are what they are (rule N1)."""
    return value if hasattr(value, "dtype") else np.asarray(value, {int: "i4", float: "f4"}.get(type(value)))


def zeros(type_, unknown=0):
    """A value of a type, with a given length where the type leaves one open."""
    return each_leaf(lambda t: np.zeros([unknown if n is None else n for n in t.shape], t.dtype), type_)


def join(one, other):
    """The narrowest type of which values of both types are; None, or None inside, if there is none."""
    if isinstance(one, Struct) and isinstance(other, Struct) and list(one) == list(other):
        return Struct({name: join(one[name], other[name]) for name in one})
    match one, other:
        case Tensor(dtype, shape), Tensor(another, sizes) if (dtype, len(shape)) == (another, len(sizes)):
            return Tensor(dtype, tuple(n if n == m else None for n, m in zip(shape, sizes, strict=True)))


# ---- 2. Programs. A program is a tree of six kinds of node, and structs of nodes. Python functions stand in
# one kind only: `Local`, NumPy code for one client or the server, into which the language does not look.
Name = kind("Name", "name type", lambda n: n.name)  # stands for a parameter or a binding
Literal = kind("Literal", "array type", lambda n: f"{n.array.tolist()}:{n.type}", eq=False)
Local = kind("Local", "function type", lambda n: f"numpy:{n.function.__name__.strip('<>')}")
Operate = kind("Operate", "name detail inputs", lambda n: f"{n.name}@{n.detail}{n.inputs}".replace("@<", "<"))
Call = kind("Call", "function arguments", lambda n: f"{n.function}{n.arguments}")  # a computation in another
Lambda = kind(
    "Lambda",
    "parameters bindings result",
    lambda n: "\n".join(
        [f"({n.parameters} -> let", *(f"{name} = {v}" for name, v in n.bindings.items()), f"in {n.result})"]
    ).replace("\n", "\n  "),
)


# One walk over programs does it all: with arrays it runs them, with types it checks them, with nodes it makes
# them simpler. Two functions tell these worlds apart: what constants and local code are, what operators do.
def evaluate(node, scope, leaf, operate):
    """The meaning of a node, given the meaning of the names around it."""
    match node:
        case Name(name) if name in scope:
            return scope[name]
        case Struct():
            return Struct({name: evaluate(part, scope, leaf, operate) for name, part in node.items()})
        case Operate(operator, detail, inputs):
            return operate(operator, detail, *evaluate(inputs, scope, leaf, operate).values())
        case Call(function, arguments):
            return run(function, evaluate(arguments, scope, leaf, operate).values(), leaf, operate)
    return leaf(node)


def run(program, arguments, leaf, operate):
    """The meaning of a function for given arguments: its bindings one after another, then its result."""
    scope = dict(zip(program.parameters, arguments, strict=True))
    for name, node in program.bindings.items():
        scope[name] = evaluate(node, scope, leaf, operate)
    return evaluate(program.result, scope, leaf, operate)


# ---- 3. Checking. In the world of types, to walk through a program without an error is to be checked. A good
# error says what is wrong, what was found, what was expected, and what to do about it.
def require(condition, what, found, expected, hint=None):
    """Raises unless a condition holds."""
    if not condition:
        rows = {"found": found, "expected": expected, "hint": hint}
        raise TypeError("\n".join([what, *(f"  {name:<9} {row}" for name, row in rows.items() if row)]))


def member_at(placement, type_, operator):
    """What one member of a placement has, of a value that must be there. Most mistakes are found here."""
    form, hint = "T@SERVER", "aggregate it first, for example with federated_sum or federated_mean"
    if placement == CLIENTS:
        form, hint = "{T}@CLIENTS", "use it at the server as it is, or broadcast it first"
    there = isinstance(type_, Placed) and type_.placement == placement
    require(there, f"{operator} needs a value at {placement}", type_, form, hint)
    return type_.member


def result_type(operator, detail, *types):
    """The rules I1 to I9: what each operator takes, and the type of its result."""
    match operator, types:
        case "federated_value", [member]:
            return Placed(member, detail, all_equal=True)
        case "federated_broadcast", [value]:
            return Placed(member_at(SERVER, value, operator), CLIENTS, all_equal=True)
        case "federated_key", [key]:
            require(member_at(SERVER, key, operator) == KEY, f"{operator} needs a key", key, f"{KEY}@SERVER")
            return at_clients(KEY)
        case "federated_map", [Function(parameter, result), Placed(member, placement)]:
            fits = join(member, parameter) == parameter
            require(fits, f"{operator} needs a function that takes {member}", parameter, member)
            return Placed(result, placement, all_equal=placement == SERVER)
        case "federated_zip", [Struct() as parts] if isinstance(leaves(parts)[0], Placed):
            placement = leaves(parts)[0].placement
            members = each_leaf(lambda part: member_at(placement, part, operator), parts)
            return Placed(members, placement, all(part.all_equal for part in leaves(parts)))
        case "federated_aggregate", [value, zero, accumulate, merge, report]:
            member_at(CLIENTS, value, operator)
            same = accumulate.result == merge.result == zero
            require(same, f"{operator} needs functions that return {zero}", accumulate, f"(... -> {zero})")
            return at_server(report.result)
        case "federated_sum" | "federated_mean", [value]:
            kinds, member = "fc" if "mean" in operator else "iufc", member_at(CLIENTS, value, operator)
            numbers = all(np.dtype(t.dtype).kind in kinds and None not in t.shape for t in leaves(member))
            require(numbers, f"{operator} needs numbers of known shape", member, f"dtypes of kinds {kinds}")
            return at_server(member)
    require(False, f"{operator} needs a placed value", types[-1], "{T}@CLIENTS or T@SERVER")


# ---- 4. Explaining. What crosses between clients and server is seen on the same walk, before anything runs.
Crossing = namedtuple("Crossing", "origin destination operator what type bytes protection")
MOVES = {  # who sends, who receives, how the receiver gets the messages, and what they are
    "federated_value": (PROGRAM, CLIENTS, "as they are", ["constant"]),
    "federated_broadcast": (SERVER, CLIENTS, "as they are", ["value"]),
    "federated_key": (SERVER, CLIENTS, "as they are", ["key"]),
    "federated_aggregate": (CLIENTS, SERVER, "as they are", ["value"]),
    "federated_sum": (CLIENTS, SERVER, "only as their sum", ["value"]),
    "federated_mean": (CLIENTS, SERVER, "only as their sum", ["value", "count"]),
}


def crossings(operator, detail, member):
    """What an operator moves for each client; the bytes are None where the type leaves them open."""
    *ends, protection, names = MOVES[operator]
    for what, type_ in zip(names, [member, INT64], strict=False):
        unknown = any(None in tensor.shape for tensor in leaves(type_))
        size = None if unknown else sum(leaf.nbytes for leaf in leaves(zeros(type_)))
        if size != 0 and (operator, detail) != ("federated_value", SERVER):
            yield Crossing(*ends, operator, what, type_, size, protection)


def explain(program):
    """The type of a program's result, and everything that will cross when it runs."""
    log = []

    def operate(operator, detail, *types):
        if operator in MOVES:
            log.extend(crossings(operator, detail, getattr(types[0], "member", types[0])))
        return result_type(operator, detail, *types)

    return run(program, program.parameters.values(), lambda leaf: leaf.type, operate), log


# ---- 5. Tracing. Nobody writes trees by hand. A Python function is run once on names instead of values, and
# each operator, instead of computing anything, adds a binding to the program being traced: the last of these.
TRACED = []


def bind(node):
    """Checks a node and gives it a name, so that it is computed once however often it is used."""
    require(TRACED, "An operator of the language was called", "no program", "a function under @computation")
    name = Name(f"v{len(TRACED[-1]) + 1}", evaluate(node, {}, lambda leaf: leaf.type, result_type))
    TRACED[-1][name.name] = node
    return name


def computation(*types):
    """Makes a Python function a computation, given a type for each parameter; used as a decorator."""

    def trace(function):
        parameters = Struct(zip(inspect.signature(function).parameters, types, strict=True))
        TRACED.append(Struct())
        try:
            result = to_node(function(*map(Name, parameters, types)))
        finally:
            bindings = TRACED.pop()

        def call(*arguments, apply_to_all=one_by_one):
            if TRACED:  # inside another computation, a call is one more binding
                return bind(Call(call.program, to_node(arguments)))
            return execute(call.program, arguments, apply_to_all)[0]

        call.program = Lambda(parameters, bindings, result)
        call.type = Function(types[0] if len(types) == 1 else parameters, explain(call.program)[0])
        return call

    return trace


def to_node(value):
    """The node of what may stand in a program: names, local code, constants, and structs of them."""
    literal = partial(each_leaf, lambda x: Literal(array(x), type_of(array(x))))
    return each_leaf(lambda x: x if isinstance(x, Name | Local) else literal(x), value)


def apply_local(function, *arguments):
    """Calls NumPy code. Several arguments are a struct; several parameters are the fields of one."""
    argument = arguments[0] if len(arguments) == 1 else Struct(enumerate(arguments))
    spread = len(inspect.signature(function).parameters) > 1
    with np.errstate(all="ignore"):  # integers wrap around, as everywhere in NumPy (rule N2)
        return each_leaf(array, function(*argument.values()) if spread else function(argument))


def local(function, *types):
    """NumPy code as a node. Running it on zeros shows its type; two lengths show which sizes are unknown."""
    parameter = types[0] if len(types) == 1 else Struct(enumerate(types))
    found = [type_of(apply_local(function, zeros(parameter, length))) for length in (3, 5)]
    return Local(function, Function(parameter, join(*found)))


def operate(operator, *arguments):
    """Adds an operator to the program. Its detail is the argument that is a string."""
    detail = "".join(part for part in arguments if isinstance(part, str))
    return bind(Operate(operator, detail, to_node([part for part in arguments if not isinstance(part, str)])))


def federated_map(function, value):
    """Local code at each member of a placement: (T -> U) and {T}@P to {U}@P."""
    value = value if isinstance(value, Name) else federated_zip(value)
    return operate("federated_map", local(function, getattr(value.type, "member", value.type)), value)


def federated_aggregate(value, zero, accumulate, merge, report):
    """Any fold: {T}@CLIENTS, U, (<U,T> -> U), (<U,U> -> U) and (U -> R) to R@SERVER."""
    member, start = getattr(value.type, "member", value.type), type_of(each_leaf(array, zero))
    folds = local(accumulate, start, member), local(merge, start, start), local(report, start)
    return operate("federated_aggregate", value, zero, *folds)


federated_apply = federated_map  # (T -> U) and T@SERVER to U@SERVER
federated_value = partial(operate, "federated_value")  # T and a placement P to T@P
federated_broadcast = partial(operate, "federated_broadcast")  # T@SERVER to T@CLIENTS
federated_key = partial(operate, "federated_key")  # uint32[2]@SERVER and a purpose to {uint32[2]}@CLIENTS
federated_zip = partial(operate, "federated_zip")  # <{A}@P,{B}@P> to {<A,B>}@P
federated_sum = partial(operate, "federated_sum")  # {T}@CLIENTS to T@SERVER
federated_mean = partial(operate, "federated_mean")  # {T}@CLIENTS to T@SERVER


# ---- 6. Running. In the world of arrays, the server is a placement with one member. Obvious and slow, this
# is the reference: it says what is right. `Each` is a placed value: {member: value}, in the order of the ids.
Each = kind("Each", "type values")


def client_key(server_key, client, purpose):
    """A random key from the server's key, the client's id and a purpose, and from nothing else (rule R1)."""
    digest = blake2b(digest_size=8)
    for part in server_key.astype("<u4").tobytes(), client, purpose:
        text = part if isinstance(part, bytes) else str(part).encode()
        digest.update(type(part).__name__[0].encode() + len(text).to_bytes(8, "little") + text)
    return np.frombuffer(digest.digest(), "<u4").astype("uint32")


def fold(sent, zero, accumulate, merge):
    """Rule N3: at most 32 runs of clients are folded in order, then neighbours merged until one is left."""
    n, runs = len(sent), min(len(sent), 32)
    groups = [sent[i * n // runs : (i + 1) * n // runs] for i in range(runs)]
    partials = [reduce(partial(apply_local, accumulate), group, zero) for group in groups]
    while len(partials) > 1:
        odd = partials[len(partials) // 2 * 2 :]
        partials = [*map(partial(apply_local, merge), partials[::2], partials[1::2]), *odd]
    return partials[0] if partials else zero


def one_by_one(function, arguments):
    """How the reference applies local code: to what one client has, then to what the next has."""
    return [apply_local(function, argument) for argument in arguments]


def execute(program, arguments, apply_to_all=one_by_one):
    """The result of a program, and everything that crossed. What is at clients is a list or {id: value}."""
    members, log = {SERVER: [SERVER]}, []

    def place(argument, type_):
        values = each_leaf(array, {SERVER: argument} if type_.placement == SERVER else argument)
        values = {i: values[i] for i in sorted(values)}
        ids = members.setdefault(type_.placement, list(values))  # the first argument says who the clients are
        require(ids == list(values), "Two arguments have different clients", list(values), ids)
        for i, found in zip(values, map(type_of, values.values()), strict=True):
            require(join(found, type_.member) == type_.member, f"Wrong value at {i!r}", found, type_.member)
        return Each(type_.member, values)

    def operate(operator, detail, *arguments):
        first = arguments[0]
        if operator in MOVES:
            log.extend(crossings(operator, detail, first.type if isinstance(first, Each) else type_of(first)))
        match operator, arguments:
            case "federated_value", [value]:
                return Each(type_of(value), dict.fromkeys(members[detail], value))
            case "federated_broadcast", [Each(type_, values)]:
                return Each(type_, dict.fromkeys(members[CLIENTS], values[SERVER]))
            case "federated_key", [Each(_, values)]:
                return Each(KEY, {i: client_key(values[SERVER], i, detail) for i in members[CLIENTS]})
            case "federated_map", [Local(function, type_), Each(_, values)]:
                results = apply_to_all(function, list(values.values()))
                return Each(type_.result, dict(zip(values, results, strict=True)))
            case "federated_zip", [parts]:
                rows = {i: each_leaf(lambda x, i=i: x.values[i], parts) for i in leaves(parts)[0].values}
                return Each(each_leaf(lambda x: x.type, parts), rows)
            case "federated_aggregate", [Each(_, values), zero, *folds]:
                accumulate, merge, report = (local.function for local in folds)
                result = apply_local(report, fold(list(values.values()), zero, accumulate, merge))
            case _, [Each(type_, values)]:  # the sum, and the mean, which divides it by the sum of the counts
                n, add = len(values) if operator == "federated_mean" else 1, partial(each_leaf, np.add)
                require(n, "federated_mean of no clients", "none", "at least one client")
                total = fold(list(values.values()), zeros(type_), add, add)
                result = each_leaf(lambda x: x / x.dtype.type(n) if n > 1 else x, total)
        return Each(type_of(result), {SERVER: result})

    placed = list(map(place, arguments, program.parameters.values()))
    result = run(program, placed, lambda leaf: getattr(leaf, "array", leaf), operate)
    return each_leaf(lambda each: each.values.get(SERVER, each.values), result), log


# ---- 7. Flat form. In the world of nodes, an operator is a new binding, or an old one if there is its equal.
# So calls dissolve, and nothing is computed twice. The result is the same, because all operators are pure.
def flat(program):
    """The same program without calls and duplicates."""
    names = {}

    def operate(operator, detail, *arguments):
        node = Operate(operator, detail, Struct(enumerate(arguments)))
        return names.setdefault(node, Name(f"v{len(names) + 1}", None))

    arguments = map(Name, program.parameters, program.parameters.values())
    result = run(program, arguments, lambda leaf: leaf, operate)
    return Lambda(program.parameters, Struct({name.name: node for node, name in names.items()}), result)


# ---- 8. All clients at once. One call of Python for each client is slow. But NumPy lets objects stand in for
# arrays: ours stands for the arrays of many clients, so local code runs once for all, and does not notice.
class Stack(np.lib.mixins.NDArrayOperatorsMixin):
    """Arrays of one shape, one for each client, stacked along a last axis that local code does not see."""

    __array__ = __bool__ = None  # it is neither one array nor true or false: code that needs that fails

    def __init__(self, stacked):
        self.stacked, self.dtype, self.shape = stacked, stacked.dtype, stacked.shape[:-1]

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or ufunc.signature or options:
            return NotImplemented  # then Python raises a TypeError
        arrays = [x.stacked if isinstance(x, Stack) else x[..., None] if np.ndim(x) else x for x in inputs]
        return Stack(ufunc(*arrays))

    def __getitem__(self, index):
        return Stack(self.stacked[(*(index if isinstance(index, tuple) else (index,)), ..., slice(None))])

    def astype(self, dtype):
        """As arrays have it."""
        return Stack(self.stacked.astype(dtype))

    def sum(self, axis):
        """As arrays have it."""
        return Stack(self.stacked.sum(axis=axis % len(self.shape)))


def all_at_once(function, arguments):
    """Local code once for all arguments of one type. What `Stack` cannot do is done one by one instead."""
    types, results = [type_of(argument) for argument in arguments], [None] * len(arguments)
    for type_ in set(types):
        group = [k for k, other in enumerate(types) if other == type_]
        members = [arguments[k] for k in group]
        try:
            done = apply_local(function, each_leaf(lambda *arrays: Stack(np.stack(arrays, -1)), *members))
            for i, k in enumerate(group):
                results[k] = each_leaf(lambda x, i=i: x.stacked[..., i] if type(x) is Stack else x, done)
        except (TypeError, AttributeError, IndexError):
            for k in group:
                results[k] = apply_local(function, arguments[k])
    return results


# ---- 9. Examples, and a tour of all this at work.
MODEL, X, Y = Tensor("float32", (3,)), Tensor("float32", (None, 3)), Tensor("float32", (None,))
average = computation(at_clients(FLOAT32))(federated_mean)  # for the next one to use


@computation(at_clients(FLOAT32))
def variance(readings):
    """How far apart readings lie. It asks for one average twice; in flat form, clients send it once."""
    middle = federated_broadcast(average(readings))
    squares = federated_map(lambda r, m: (r - m) ** 2, (readings, middle))
    return {"mean": average(readings), "variance": average(squares)}


@computation(at_clients(FLOAT32))
def fading(readings):
    """A fold in which order and grouping count, down to the last bit."""
    return federated_aggregate(readings, 0.0, lambda a, r: (a + r) / 2, lambda a, b: (a + b) / 2, lambda a: a)


@computation(at_clients(BOOL), at_server(KEY))
def share_of_yes(answers, key):
    """A delicate question: by a key of its own, each client lies one time in four (Warner, 1965)."""
    told = federated_map(lambda yes, k: yes ^ (k[0] % 4 == 0), (answers, federated_key(key, "lie")))
    share = federated_mean(federated_map(lambda yes: yes.astype("float32"), told))
    return federated_apply(lambda share: 2 * share - 0.5, share)


def train(model, x, y):
    """Local code: ten steps of gradient descent on a client's examples; the result counts by their number."""
    n = np.float32(y.shape[0])
    for _ in range(10):
        error = (x * model).sum(axis=1) - y
        model = model - 0.1 * (x * error[:, None]).sum(axis=0) / n
    return n * model, n


@computation(at_server(MODEL), at_clients(X), at_clients(Y))
def fed_avg_round(model, x, y):
    """Federated averaging (McMahan et al., 2017): all train the server's model; it becomes their mean."""
    trained = federated_map(train, (federated_broadcast(model), x, y))
    return federated_apply(lambda total, examples: total / examples, federated_sum(trained))


def tour():
    """Prints what can be known of a program before it runs, then runs it, and learns."""
    program, readings = variance.program, {"attic": 24.5, "cellar": 14.0, "hall": 19.0}
    print(f"A type:\n{variance.type}\n\nIts program:\n{program}\n\nFlat:\n{flat(program)}\n\nWhat crosses:")
    for crossing in explain(program)[1]:
        print(*crossing)
    print(f"\nThe result:\n{variance(readings)}\n\nAn error, before anything runs:")
    try:
        computation(at_server(FLOAT32))(federated_sum)
    except TypeError as error:
        print(f"{error}\n\nLearning:")
    rng, truth, model = np.random.default_rng(0), np.float32([1, -2, 3]), np.zeros(3, "float32")
    x = [rng.normal(size=(rows, 3)).astype("float32") for rows in rng.integers(1, 30, size=50)]
    y = [rows @ truth for rows in x]
    for round_number in range(1, 6):
        model, slow = (fed_avg_round(model, x, y, apply_to_all=how) for how in (all_at_once, one_by_one))
        print(f"Round {round_number}: {model}; one by one the same: {np.allclose(model, slow, rtol=1e-5)}")


if __name__ == "__main__":
    tour()

# Exercises. 1 Let `flat` drop bindings that nothing refers to. 2 Make `Stack` understand `@`. 3 Add a maximum
# (a rule, a row in MOVES, a fold), then a weighted mean. 4 Let `fold` take one client of each of the 32 runs
# in one call, with the same bits. 5 The server makes the keys, so it can undo lies: who should make them?
