# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: deterministic property tests, and a way to compare an error's whole text."""

from __future__ import annotations

import os
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from hypothesis import HealthCheck, settings

from foedus.errors import FoedusError

# Keras takes its backend from the environment when it is first imported, and keeps it for the process. Tests
# that need TensorFlow's start a process of their own.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["FOEDUS_CACHE_DIR"] = ""  # Tests compile anew, and leave nothing in the user's folders.

settings.register_profile(
    "foedus",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("foedus")

Refusal = Callable[[type[FoedusError], str], AbstractContextManager[None]]


@pytest.fixture
def refused(request: pytest.FixtureRequest) -> Refusal:
    """A context in which an error must be raised, of exactly a class and with exactly a text.

    In the text, ``HERE`` stands for the line of the test that the error must point at: the innermost one in
    the traceback of the error or of its cause.
    """
    path = str(request.path)

    @contextmanager
    def context(sort: type[FoedusError], text: str) -> Iterator[None]:
        with pytest.raises(FoedusError) as caught:
            yield
        assert type(caught.value) is sort
        shown, error = str(caught.value), caught.value
        while error is not None:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
            if frames:
                shown = shown.replace(f"{request.path.name}:{frames[-1].lineno}: {frames[-1].line}", "HERE")
            error = error.__cause__
        assert shown == textwrap.dedent(text).strip()

    return context
