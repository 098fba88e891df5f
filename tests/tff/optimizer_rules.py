# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The published rules of optimizers, in NumPy and in 64 bits.

Hyperparameters are the defaults of ``tff.learning.optimizers``, the learning rate is 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foedus.tff.learning import optimizers

Rule = Callable[[int, Any, Any, dict[str, Any]], Any]
"""``(t, weight, gradient, slots) -> new weight``, in 64 bits; slots begin as an empty dict."""


def sgd(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    return w - 0.1 * g


def momentum(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Polyak, 1964."""
    slots["v"] = 0.9 * slots.get("v", 0.0) + g
    return w - 0.1 * slots["v"]


def nesterov(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Nesterov, 1983, as Sutskever et al., 2013, write it, at the point that is looked at."""
    slots["v"] = 0.9 * slots.get("v", 0.0) + g
    return w - 0.1 * (g + 0.9 * slots["v"])


def adagrad(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Duchi et al., 2011, section 1.1, whose squares begin at 0.1."""
    slots["s"] = slots.get("s", 0.1) + g**2
    return w - 0.1 * g / (np.sqrt(slots["s"]) + 1e-7)


def rmsprop(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Hinton, 2012, lecture 6e."""
    slots["s"] = 0.9 * slots.get("s", 0.0) + 0.1 * g**2
    return w - 0.1 * g / (np.sqrt(slots["s"]) + 1e-7)


def corrected(t: int, m: Any, v: Any, epsilon: float) -> Any:
    """Kingma et al., 2015, the two lines at the end of section 2: an epsilon that is not corrected."""
    return np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + epsilon)


def adam(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Kingma et al., 2015, section 2."""
    slots["m"] = 0.9 * slots.get("m", 0.0) + 0.1 * g
    slots["v"] = 0.999 * slots.get("v", 0.0) + 0.001 * g**2
    return w - 0.1 * corrected(t, slots["m"], slots["v"], 1e-7)


def adamw(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Loshchilov and Hutter, 2019, algorithm 2, with the decay times the learning rate."""
    return adam(t, w, g, slots) - 0.1 * 0.004 * w


def yogi(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Zaheer et al., 2018, algorithm 2, with Adam's correction."""
    v = slots.get("v", 1e-6)
    slots["m"] = 0.9 * slots.get("m", 0.0) + 0.1 * g
    slots["v"] = v - 0.001 * np.sign(v - g**2) * g**2
    return w - 0.1 * corrected(t, slots["m"], slots["v"], 1e-3)


def rms(x: Any) -> Any:
    return np.sqrt(np.mean(np.square(x)))


def adafactor(t: int, w: Any, g: Any, slots: dict[str, Any]) -> Any:
    """Shazeer and Stern, 2018, algorithms 4 and 5."""
    kept = 1 - t**-0.8
    slots["s"] = kept * slots.get("s", 0.0) + (1 - kept) * (g**2 + 1e-30)
    v = slots["s"]
    if w.ndim > 1:
        v = v.mean(-1)[..., None] * v.mean(-2)[..., None, :] / v.mean((-1, -2), keepdims=True)
    update = g / np.sqrt(v)
    update = update / max(1.0, rms(update))
    return w - max(1e-3, rms(w)) * min(0.1, t**-0.5) * update


RULES: dict[str, tuple[optimizers.Optimizer, Rule]] = {
    "sgd": (optimizers.build_sgdm(0.1), sgd),
    "momentum": (optimizers.build_sgdm(0.1, momentum=0.9), momentum),
    "nesterov": (optimizers.build_sgdm(0.1, momentum=0.9, nesterov=True), nesterov),
    "adagrad": (optimizers.build_adagrad(0.1), adagrad),
    "rmsprop": (optimizers.build_rmsprop(0.1), rmsprop),
    "adam": (optimizers.build_adam(0.1), adam),
    "adamw": (optimizers.build_adamw(0.1), adamw),
    "yogi": (optimizers.build_yogi(0.1), yogi),
    "adafactor": (optimizers.build_adafactor(0.1), adafactor),
}
