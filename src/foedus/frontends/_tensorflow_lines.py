# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow's errors say: which line of the user's code they mean, and what was wrong."""

from __future__ import annotations

import re
from typing import Any

from foedus.errors import describe_line, failing_line, is_users_code

_LINE = re.compile(r'File "([^"]+)", line (\d+)')
_GENERATED = "__autograph_generated_file"
"""AutoGraph runs code that it wrote into files of this name."""
_NOISE = (
    "File ",
    "Graph execution error",
    "Detected at node",
    "Detected unsupported operations",
    "in user code:",
    "The op is created at",
    "[[{{node",
)
_NODE = re.compile(
    r"\s*(\[Op:[^\]]*\]( name:.*)?|\[\[\{\{node .*|\{\{node [^}]*\}\})|\{\{function_node [^}]*\}\} ?"
)
_MOST_LINES = 4


def users_line(error: BaseException) -> str | None:
    """The innermost line of the user's code that an error of TensorFlow names.

    Args:
        error: What TensorFlow raised, while a function was traced or while its graph ran.

    Returns:
        See ``foedus.errors.describe_line``; None where it names none.
    """
    named = [(path, int(line)) for path, line in _LINE.findall(str(error))]
    own = [(path, line) for path, line in named if _GENERATED not in path and is_users_code(path)]
    if own:
        return describe_line(*own[-1])
    found = failing_line(error)
    return None if found is None or _GENERATED in found else found


def line_of_node(function: Any, node: str) -> str | None:
    """The user's line that made an operation of the main graph.

    Args:
        function: The ``ConcreteFunction``.
        node: The operation's name in its graph.

    Returns:
        See ``foedus.errors.describe_line``; None where it is not known.
    """
    operations = {operation.name: operation for operation in function.graph.get_operations()}
    if node not in operations:
        return None
    frames = [frame for frame in operations[node].traceback if is_users_code(frame.filename)]
    return describe_line(frames[-1].filename, frames[-1].lineno) if frames else None


def complaint(error: BaseException) -> str:
    """What an error says, without the stack that TensorFlow writes into its text.

    Args:
        error: What TensorFlow raised.

    Returns:
        At most four lines.
    """
    said: list[str] = []
    lines = iter(str(error).splitlines())
    for line in lines:
        text = line.strip()
        if text.startswith("File "):
            if text.endswith("*"):
                next(lines, None)  # AutoGraph shows the line of source below.
            continue
        text = _NODE.sub("", text).strip()
        if text and not text.startswith(_NOISE):
            said.append(text)
    return "\n".join(said[:_MOST_LINES])
