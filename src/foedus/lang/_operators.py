# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The operators that place, send and map values, as Python functions for use inside computations."""

from __future__ import annotations

from foedus.errors import ArgumentError, PlacementError, place
from foedus.intrinsics import TABLE
from foedus.ir import Node, Record, constant
from foedus.lang._trace import Value, operate, require_trace, to_function, to_node
from foedus.types import CLIENTS, SERVER, Federated, PlacementLiteral, Struct, Type, int32, walk


def record(**fields: Node) -> Record:
    """A struct of nodes with names."""
    return Record(tuple(fields.items()))


def zipped(value: object) -> Node:
    """The value itself, or, if it is a struct of placed values, those zipped into one."""
    node = to_node(value)
    if isinstance(node.type, Federated) or not any(isinstance(t, Federated) for t in walk(node.type)):
        return node
    return operate("federated_zip", node).node


def member_of(node: Node) -> Type:
    """The type of one member of a placed value, else the type itself."""
    return node.type.member if isinstance(node.type, Federated) else node.type


def federated_value(value: object, placement: PlacementLiteral) -> Value:
    """Places a plain value: every member of the placement has it.

    Args:
        value: A constant, or a value of the program that is not placed.
        placement: ``CLIENTS`` or ``SERVER``.

    Returns:
        ``T@placement``.
    """
    require_trace()
    return operate("federated_value", to_node(value), placement)


def federated_eval(fn: object, placement: PlacementLiteral) -> Value:
    """Runs a function without argument once at each member of a placement.

    Args:
        fn: The function.
        placement: ``CLIENTS`` or ``SERVER``.

    Returns:
        ``{T}@CLIENTS`` or ``T@SERVER``.
    """
    require_trace()
    return operate("federated_eval", to_function(fn, None, "federated_eval"), placement)


def federated_broadcast(value: object, *, to: PlacementLiteral = CLIENTS) -> Value:
    """Sends a value down: the server's to all clients, ``T@SERVER`` to ``T@CLIENTS``.

    Args:
        value: A value at the server or at a tier above ``to``; a struct of such values is zipped first.
        to: The placement it goes to. From a tier, each member gets the value of the member above it.

    Returns:
        The value at ``to``.
    """
    require_trace()
    return operate("federated_broadcast", zipped(value), to)


def federated_key(key: object, purpose: str) -> Value:
    """Gives each client a random key of its own.

    The key depends on the server's key, the client's id and the purpose, and on nothing else.

    Args:
        key: ``uint32[2]@SERVER``, different in every round.
        purpose: What the keys are for; two purposes give independent keys.

    Returns:
        ``{uint32[2]}@CLIENTS``.
    """
    require_trace()
    return operate("federated_key", record(key=to_node(key), purpose=constant(purpose)))


def federated_map(fn: object, value: object) -> Value:
    """Applies a function at each member of a placement.

    Args:
        fn: A function of one argument, or of one argument per field of ``value``.
        value: ``{T}@P``; a struct of values placed at one ``P`` is zipped first.

    Returns:
        ``{U}@P``.
    """
    require_trace()
    node = zipped(value)
    function = to_function(fn, member_of(node), "federated_map")
    return operate("federated_map", record(fn=function, value=node))


def federated_apply(fn: object, value: object) -> Value:
    """Applies a function at the server: ``federated_map`` for a value that must be there.

    Args:
        fn: A function of one argument, or of one argument per field of ``value``.
        value: ``T@SERVER``; a struct of values at the server is zipped first.

    Returns:
        ``U@SERVER``.
    """
    require_trace()
    node = zipped(value)
    if not isinstance(node.type, Federated) or node.type.placement != SERVER:
        raise PlacementError(
            "federated_apply needs a value at SERVER", found=node.type, expected="T@SERVER", at=place()
        )
    return federated_map(fn, Value(node))


def federated_zip(value: object) -> Value:
    """Makes one placed struct of a struct of placed values: ``<{A}@P,{B}@P>`` to ``{<A,B>}@P``."""
    require_trace()
    return operate("federated_zip", to_node(value))


def federated_select(client_keys: object, max_key: object, server_value: object, select_fn: object) -> Value:
    """Sends each client those parts of the server's value that it has keys for.

    The server learns the keys. ``federated_secure_select`` is for where it must not.

    Args:
        client_keys: ``{int32[N]}@CLIENTS``, as many for every client, each from 0 to below ``max_key``.
        max_key: ``int32@SERVER``, or a Python number.
        server_value: ``S@SERVER``, what is selected from.
        select_fn: ``(<S,int32> -> U)``, the part for one key.

    Returns:
        ``{U*}@CLIENTS``, one element a key, in the order of the keys.
    """
    return _select("federated_select", client_keys, max_key, server_value, select_fn)


def federated_secure_select(
    client_keys: object, max_key: object, server_value: object, select_fn: object
) -> Value:
    """As ``federated_select``, for where the server must not learn the keys (private information retrieval).

    Runtimes on one machine simulate it, and say so.

    Args:
        client_keys: ``{int32[N]}@CLIENTS``, as many for every client, each from 0 to below ``max_key``.
        max_key: ``int32@SERVER``, or a Python number.
        server_value: ``S@SERVER``, what is selected from.
        select_fn: ``(<S,int32> -> U)``, the part for one key.

    Returns:
        ``{U*}@CLIENTS``, one element a key, in the order of the keys.
    """
    return _select("federated_secure_select", client_keys, max_key, server_value, select_fn)


def _select(
    name: str, client_keys: object, max_key: object, server_value: object, select_fn: object
) -> Value:
    require_trace()
    bound = to_node(max_key)
    if not isinstance(bound.type, Federated):
        bound = operate("federated_value", bound, SERVER).node
    whole = zipped(server_value)
    argument = Struct(((None, member_of(whole)), (None, int32)))
    return operate(
        name,
        record(
            keys=to_node(client_keys),
            max_key=bound,
            server_value=whole,
            select_fn=to_function(select_fn, argument, name),
        ),
    )


def apply_operator(name: str, *arguments: object, to: PlacementLiteral | None = None) -> Value:
    """Applies an operator of the table by its name: for those that have no Python function of their own.

    Args:
        name: A name in ``foedus.intrinsics.TABLE``.
        *arguments: Its arguments in the order of its type scheme; functions must be computations.
        to: The placement asked for, where it has one.

    Returns:
        The result.

    Raises:
        ArgumentError: If there is no such operator.
    """
    require_trace()
    if name not in TABLE:
        raise ArgumentError("There is no such operator", found=name, expected=", ".join(TABLE), at=place())
    nodes = [zipped(argument) for argument in arguments]
    if len(nodes) == 1:
        return operate(name, nodes[0], to)
    return operate(name, Record(tuple((None, node) for node in nodes)), to)
