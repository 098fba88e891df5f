# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What each of TFF's names does here, read off the modules."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from foedus.tff._absent import Absent

_FOREWORD = """# Programs for TensorFlow Federated

`import foedus.tff as tff` instead of `import tensorflow_federated as tff`, and programs written for TFF
from 2021 to today run on Foedus. Without changing a line: `foedus.tff.install()` before the program is
imported makes `import tensorflow_federated` and `import federated_language` give these modules.

- Keras runs on TensorFlow in such programs: importing `foedus.tff` sets `KERAS_BACKEND=tensorflow`,
  unless Keras is imported already or the variable is set. Models are of Keras 3.
- A `tf.data` data set is read once, and what it held is kept as long as it lives. One that is shuffled
  keeps its first order.
- A federated computation that uses values of the one around it is a part of that one, and has no type of
  its own.
- A model that keeps its state in `tf.Variable` is traced as a pure function of what its variables hold: it
  may assign to them, but not inside a branch or a loop of TensorFlow.
- A client optimizer's hyperparameters are the client work's state.
- An optimizer runs where it is called: in code of TensorFlow on tensors, elsewhere on arrays of JAX; so does
  the function of `schedule_learning_rate`. Any Keras optimizer can be given, but `ScheduleFreeAdamW` and
  those that need Keras' own training loop: SGD, Adam, AdamW, Adagrad and RMSprop with plain options have
  TFF's state, others the variables of Keras.
- A model takes numbers: words are looked up in the clients' data, with `dataset.map`.
- Saved models are folders in the format of `foedus.wire`, not SavedModels.
- Clipping and zeroing do not let NaN through, and a quantile without clients stays as it is.
- Types print as in TFF. State and metrics have TFF's trees: those of today, and those of 2021 for
  `build_federated_averaging_process`.
- A state holds no key. Where a model draws random numbers, a round's key is a hash of the weights at the
  server.
- In an element of a sequence only the first dimension of a tensor may be unknown, and all tensors of one
  element in which it is have equally many rows.
- Errors are those of Foedus, which are `TypeError`s and `ValueError`s too; where programs test for TFF's
  sentences, they are TFF's.
- Arithmetic on values inside `federated_computation` belongs into a function given to `federated_map`.

This page is written by `tools/tff_page.py`. A name that is not here raises `NotImplementedError` when it is
used.
"""


class Row(NamedTuple):
    """A name.

    Args:
        path: Where it is, such as ``tff.learning.from_keras_model``.
        here: Whether there is something behind it.
        note: What it is, or what to use instead.
    """

    path: str
    here: bool
    note: str


def rows(module: ModuleType, path: str) -> Iterator[Row]:
    """Every public name, namespace after namespace.

    Args:
        module: The namespace to begin with.
        path: Where it is.

    Yields:
        The names of a namespace, then those of the namespaces in it.
    """
    inside = [(name, getattr(module, name)) for name in sorted(module.__all__)]
    for name, thing in inside:
        if not isinstance(thing, ModuleType):
            yield Row(f"{path}.{name}", not isinstance(thing, Absent), _note(thing))
    for name, thing in inside:
        if isinstance(thing, ModuleType):
            yield from rows(thing, f"{path}.{name}")


def _note(thing: Any) -> str:
    if isinstance(thing, Absent):
        return thing.instead
    if inspect.isclass(thing) or inspect.isroutine(thing):
        return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return ""


def page(tff: ModuleType) -> str:
    """The text of ``docs/tff.md``.

    Args:
        tff: The package.
    """
    lines, before = [_FOREWORD], ""
    for row in rows(tff, "tff"):
        namespace, name = row.path.rsplit(".", 1)
        if namespace != before:
            lines.append(f"\n## {namespace}\n\n| name | here | |\n|---|---|---|")
        before = namespace
        note = row.note.replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{name}` | {'yes' if row.here else 'no'} | {note} |")
    return "\n".join(lines) + "\n"
