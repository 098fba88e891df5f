# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Types laid out over lines, for people."""

from __future__ import annotations

from foedus.types import Federated, Function, Sequence, Struct, Type, show, show_name

WIDTH = 88
"""Columns that a line of a type may take before it is broken."""


def show_lines(type_: Type, *, width: int = WIDTH) -> str:
    """The compact notation of a type, with what does not fit on a line broken at its fields.

    Args:
        type_: The type.
        width: Columns of a line. A type without fields is never broken, however long.

    Returns:
        Lines that ``foedus.types.parse`` reads as the same type.

    Example:
        >>> from foedus.types import parse
        >>> print(show_lines(parse("(<state=<a=int32,b=bool>@SERVER> -> int32@SERVER)"), width=24))
        (<
          state=<
            a=int32,
            b=bool
          >@SERVER
        >
        -> int32@SERVER)
    """
    return "\n".join(lines_of(type_, indent=0, width=width))


def lines_of(type_: Type, before: str = "", after: str = "", *, indent: int, width: int) -> list[str]:
    """The lines of a type with something before and after it.

    Args:
        type_: The type.
        before: What stands before it on its first line.
        after: What follows on its last line.
        indent: Spaces before every line.
        width: Columns of a line.

    Returns:
        One line where it fits, else one or more for each field.
    """
    pad = " " * indent
    flat = f"{pad}{before}{show(type_)}{after}"
    if len(flat) <= width:
        return [flat]
    match type_:
        case Struct(fields) if fields:
            return [f"{pad}{before}<", *_fields(type_, indent, width), f"{pad}>{after}"]
        case Sequence(element):
            return lines_of(element, before, f"*{after}", indent=indent, width=width)
        case Federated(member, placement, True):
            return lines_of(member, before, f"@{placement.name}{after}", indent=indent, width=width)
        case Federated(member, placement):
            end = f"}}@{placement.name}{after}"
            return lines_of(member, f"{before}{{", end, indent=indent, width=width)
        case Function(None, result):
            return lines_of(result, f"{before}( -> ", f"){after}", indent=indent, width=width)
        case Function(parameter, result):
            assert parameter is not None
            takes = lines_of(parameter, f"{before}(", "", indent=indent, width=width)
            return [*takes, *lines_of(result, "-> ", f"){after}", indent=indent, width=width)]
        case _:
            return [flat]


def _fields(struct: Struct, indent: int, width: int) -> list[str]:
    lines: list[str] = []
    for i, (name, t) in enumerate(struct.fields):
        before = "" if name is None else f"{show_name(name)}="
        after = "," if i < len(struct.fields) - 1 else ""
        lines += lines_of(t, before, after, indent=indent + 2, width=width)
    return lines


def short(type_: Type, most: int = 60) -> str:
    """A type's text, cut in the middle where it is long."""
    text = show(type_)
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 3 :]}"


def takes_and_gives(type_: Function) -> dict[str, list[str]]:
    """What a function takes and gives, with the fields of its parameter and its result on lines of their own.

    Args:
        type_: The function's type.

    Returns:
        Lines under ``takes`` and under ``gives``. A field of the result that does not fit on a line and has
        the type of a field of the parameter says so instead of repeating it.
    """
    takes = [] if type_.parameter is None else _parts(type_.parameter)
    known = {t: name for name, t in takes if name}
    gives: list[str] = []
    for name, t in _parts(type_.result):
        lines = lines_of(t, name and f"{name}=", indent=0, width=WIDTH)
        same = known.get(t)
        gives += [f"{name}=... the type of {same} above"] if same and len(lines) > 1 else lines
    lines = [line for name, t in takes for line in lines_of(t, name and f"{name}=", indent=0, width=WIDTH)]
    return {"takes": lines or ["nothing"], "gives": gives or ["nothing"]}


def _parts(type_: Type) -> list[tuple[str, Type]]:
    if not isinstance(type_, Struct):
        return [("", type_)]
    return [(f"[{i}]" if name is None else show_name(name), t) for i, (name, t) in enumerate(type_.fields)]
