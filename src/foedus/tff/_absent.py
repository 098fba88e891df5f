# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Names of TFF that are here so that they can say why there is nothing behind them."""

from __future__ import annotations

from typing import Any, NoReturn, final


@final
class Absent:
    """A name without anything behind it: using it in any way raises ``NotImplementedError``.

    Args:
        name: Its path in TFF, such as ``tff.analytics.IbltFactory``.
        instead: What to use instead, or what keeps it from being here.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name = name
        self.instead = instead

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(f"foedus.tff has nothing behind the name {self.name}: {self.instead}")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def __mro_entries__(self, bases: Any) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __repr__(self) -> str:
        return f"<{self.name}: not here; {self.instead}>"
