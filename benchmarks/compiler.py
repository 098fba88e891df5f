# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds in the compiler: prints one JSON line.

Imports foedus, and traces and checks the demo's training computation, each in a process of its own; then
checks three generated programs and brings them into call-dominant form:

- chain: maps at clients, one after another, each by a function of the language;
- struct: a value at clients with very many fields, which are taken out one by one and zipped again;
- lambdas: a function in a function in a function, each applied inside of the next.

Every time is the best of a number of repeats.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable

from foedus.intrinsics import result_type
from foedus.ir import Block, Call, Intrinsic, Lambda, Node, Record, Reference, Selection, check, walk
from foedus.passes import call_dominant
from foedus.types import Function, Struct, at_clients, int32

IMPORT = """
import time
start = time.perf_counter()
import foedus
print(time.perf_counter() - start)
"""
TRAINING = """
import time
from foedus.ir import check
from foedus.simulation.baselines import digits
start = time.perf_counter()
check(digits.training().process.next.node)
print(time.perf_counter() - start)
"""


def operator(name: str, argument: Node) -> Call:
    """A call of an operator."""
    return Call(Intrinsic(name, Function(argument.type, result_type(name, argument.type))), argument)


def mapped(function: Node, value: Node) -> Call:
    return operator("federated_map", Record((("fn", function), ("value", value))))


def chain(nodes: int) -> Lambda:
    """Every map is a binding of 10 nodes."""
    y = Reference("y", int32)
    double = Lambda("y", int32, operator("generic_plus", Record(((None, y), (None, y)))))
    x = Reference("x", at_clients(int32))
    bindings: list[tuple[str, Node]] = []
    last = x
    for i in range(nodes // 10):
        bindings.append((f"v{i}", mapped(double, last)))
        last = Reference(f"v{i}", bindings[-1][1].type)
    return Lambda("x", x.type, Block(tuple(bindings), operator("federated_sum", last)))


def struct(nodes: int) -> Lambda:
    """Every field is a binding of 7 nodes and one more to zip it again."""
    member = Struct(tuple((f"f{i}", int32) for i in range(nodes // 8)))
    x, y = Reference("x", at_clients(member)), Reference("y", member)
    bindings: list[tuple[str, Node]] = []
    for i in range(len(member.fields)):
        bindings.append((f"v{i}", mapped(Lambda("y", member, Selection(y, i)), x)))
    fields = tuple((f"g{i}", Reference(name, node.type)) for i, (name, node) in enumerate(bindings))
    total = operator("federated_sum", operator("federated_zip", Record(fields)))
    return Lambda("x", x.type, Block(tuple(bindings), total))


def lambdas(nodes: int) -> Lambda:
    """Every level is 3 nodes: a function, a call and a name."""
    function = Lambda("y0", int32, Reference("y0", int32))
    for i in range(1, nodes // 3):
        function = Lambda(f"y{i}", int32, Call(function, Reference(f"y{i}", int32)))
    return function


def seconds(repeats: int, function: Callable[[Node], object], program: Node) -> float:
    """The best time of several."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(program)
        times.append(time.perf_counter() - start)
    return round(min(times), 4)


def fresh(repeats: int, program: str) -> float:
    """The best time of several that a Python program prints in a process of its own."""
    command = [sys.executable, "-c", program]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(repeats)]
    return round(min(float(one.stdout) for one in done), 4)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=10_000, help="about how many nodes a program has")
    parser.add_argument("--repeats", type=int, default=3, help="how often everything is timed")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    result: dict[str, object] = {
        "python": platform.python_version(),
        "import_s": fresh(arguments.repeats, IMPORT),
        "training_s": fresh(arguments.repeats, TRAINING),
    }
    for make in (chain, struct, lambdas):
        program = make(arguments.nodes)
        result[make.__name__] = {
            "nodes": sum(1 for _ in walk(program)),
            "check_s": seconds(arguments.repeats, check, program),
            "call_dominant_s": seconds(arguments.repeats, call_dominant, program),
        }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
