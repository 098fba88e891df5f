# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a page of tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workload_data import WORKLOADS

Record = dict[str, Any]
TITLES = {
    "W1": "softmax 784-10, 10 of 340 clients a round",
    "W2": "softmax 784-10, 1,000 of 3,400 clients a round",
    "W3": "EMNIST CNN of 1.2 million weights, 10 of 340 clients a round",
    "W4": "2-layer LSTM of 256, 10 of 100 clients a round",
    "W5": "softmax 784-10, cohorts of 342,477 clients, images as memory-mapped bytes",
}
_HEAD = (
    "",
    "s a round",
    "min to max",
    "times ours",
    "start to end of round 1, s",
    "memory of all processes, MB",
    "of it anonymous, MB",
    "distance to our weights",
    "runs",
)
_INTRODUCTION = """\
# Measured

Seconds a round: the median over the rounds of a run after its warm-up, and of that the median over runs,
which were interleaved; beside it the least and the greatest run. All programs train from the same initial
weights on the same clients, cohorts and batches. *Distance* is how far final weights are from ours, relative
to how far training moved ours: it shows whether the work was equal. It is not there where there is dropout.
*Memory* is the most that was seen of a program and the processes it started, shared pages divided among
them; *anonymous* leaves out files that are mapped into it. Foedus keeps compiled programs on disk; only
where a table says so did it find any.
"""


def page(records: Sequence[Record]) -> str:
    """A page in Markdown.

    Args:
        records: What ``compare.py`` keeps: about the runs, of each run, of what was left out or ran once.

    Returns:
        The page.
    """
    parts = [_INTRODUCTION, _about(records)]
    parts += [_workload(records, name) for name in WORKLOADS if name != "W5"]
    parts += [
        _population(records),
        _section(records, "untuned", "Models that nobody tuned for", _untuned),
        _section(records, "floor", "What the machine can do", lambda floor: _floor(floor, records)),
        _section(records, "where", "Where the time of a round goes, with one worker", _where),
        _left_out(records),
    ]
    return "\n".join(part for part in parts if part)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    """A number with four digits, and no more zeros than it needs."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _runs(records: Sequence[Record], workload: str) -> dict[str, list[Record]]:
    """The runs of each program that gave a result, with as many rounds as the last one."""
    found: dict[str, list[Record]] = {}
    of_workload = [r for r in records if r.get("workload") == workload and "result" in r]
    for record in of_workload:
        if record["rounds"] == of_workload[-1]["rounds"]:
            found.setdefault(record["name"], []).append(record)
    return found


def _seconds(runs: Sequence[Record]) -> list[float]:
    return [run["result"]["seconds_per_round"] for run in runs]


def _median(runs: Sequence[Record], name: str) -> float | None:
    values = [run["result"].get(name) for run in runs]
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _about(records: Sequence[Record]) -> str:
    runs = [record for record in records if "machine" in record]
    if not runs:
        return ""
    about = runs[-1]
    lines = [f"- {name}: {value}" for name, value in about["machine"].items()]
    lines += [f"- versions, {name}: {value}" for name, value in about["environments"].items()]
    lines += [f"- measured on {run['date']} by `{run['command']}`" for run in runs]
    lines += [f"- noise: {noise}" for noise in [_noise(records)] if noise]
    return "\n".join(lines) + "\n"


def _noise(records: Sequence[Record]) -> str:
    """By how much our own runs differ."""
    spreads: list[str] = []
    for workload in WORKLOADS:
        seconds = _seconds(_runs(records, workload).get("foedus", []))
        if len(seconds) > 1:
            spread = (max(seconds) - min(seconds)) / statistics.median(seconds)
            spreads.append(f"{workload} {spread:.0%}")
    return f"our own runs spread over {', '.join(spreads)} of their median" if spreads else ""


def _workload(records: Sequence[Record], workload: str) -> str:
    runs = _runs(records, workload)
    failed = _failures(records, workload)
    if not runs and not failed:
        return ""
    ours = runs.get("foedus")
    own = statistics.median(_seconds(ours)) if ours else None
    ordered = sorted(runs.values(), key=lambda own_runs: statistics.median(_seconds(own_runs)))
    title = f"## {workload}: {TITLES[workload]}\n"
    said = f"{ordered[0][0]['rounds']} rounds a run.\n" if ordered else ""
    table = _table(_HEAD, (_row(own_runs, own) for own_runs in ordered))
    return "\n".join(part for part in (title, said, table, failed) if part)


def _row(runs: Sequence[Record], own: float | None) -> list[str]:
    seconds = _seconds(runs)
    middle = statistics.median(seconds)
    return [
        runs[0]["label"],
        _figure(middle),
        f"{_figure(min(seconds))} to {_figure(max(seconds))}",
        _figure(middle / own if own else None),
        _figure(_median(runs, "first_round_s")),
        _figure(max(run["tree_mb"] for run in runs) or None),
        _figure(max(run["tree_anonymous_mb"] for run in runs) or None),
        _distance(runs),
        str(len(runs)),
    ]


def _distance(runs: Sequence[Record]) -> str:
    if runs[0]["name"] == "foedus":
        return "0"
    distances = [run["distance"] for run in runs if "distance" in run]
    if not distances:
        return "–"
    shown = f"{max(distances):.1e}"
    return shown if runs[0]["exact"] else f"{shown} (other work)"


def _failures(records: Sequence[Record], workload: str) -> str:
    failed: dict[str, str] = {}
    for record in records:
        if record.get("workload") != workload:
            continue
        if "failed" in record:
            failed[record["label"]] = record["failed"]
        else:
            failed.pop(record["label"], None)
    return "".join(f"- {label} failed: {why}\n" for label, why in failed.items())


def _population(records: Sequence[Record]) -> str:
    """Very many clients: is time linear in the cohort, and is memory bounded?"""
    runs, failed = _runs(records, "W5"), _failures(records, "W5")
    if not runs and not failed:
        return ""
    small = _median(_runs(records, "W2").get("foedus", []), "microseconds_per_example")
    rows: list[list[str]] = []
    for own_runs in runs.values():
        each = _median(own_runs, "microseconds_per_example")
        rows.append(
            [
                own_runs[0]["label"],
                _figure(statistics.median(_seconds(own_runs))),
                _figure(each),
                _figure(each / small if each and small else None),
                _figure(_median(own_runs, "first_round_s")),
                _figure(_median(own_runs, "peak_anonymous_mb")),
            ]
        )
    head = ("cohort", "s a round", "µs an example", "times W2's", "start to end of round 1, s")
    table = _table((*head, "anonymous memory, MB"), rows)
    return "\n".join(part for part in (f"## W5: {TITLES['W5']}\n", table, failed) if part)


def _single(records: Sequence[Record], name: str) -> Record | None:
    """The last result of a script that runs once."""
    found = [record for record in records if record.get("single") == name]
    return next((record for record in reversed(found) if "result" in record), found[-1] if found else None)


def _section(records: Sequence[Record], name: str, title: str, write: Callable[[Any], str]) -> str:
    """The section of a script that runs once: what ``write`` makes of its result, or why there is none."""
    record = _single(records, name)
    if record is None:
        return ""
    text = f"- failed: {record['failed']}\n" if "failed" in record else write(record["result"])
    return f"## {title}\n\n{text}"


def _untuned(result: Any) -> str:
    """Models for which nothing was tuned, against loops by hand."""
    rows = [
        [
            one["model"],
            _figure(one["foedus_s"]),
            _figure(one["one_call_s"]),
            _figure(one["threads_s"]),
            _figure(one["ratio"]),
            f"{one['distance']:.1e}",
        ]
        for one in result["models"]
    ]
    head = ("", "Foedus, s a round", "JAX by hand, one call", "JAX by hand, threads", "ours to the better")
    return _table((*head, "distance of weights"), rows)


def _floor(floor: Any, records: Sequence[Record]) -> str:
    """What the machine can do, and what the workloads need at the least."""
    able = [
        ["matrix product, one core, GFLOP/s", _figure(floor["gflops_one_core"])],
        ["matrix product, all cores, GFLOP/s", _figure(floor["gflops_all_cores"])],
        ["copy, one thread, GB/s read and written", _figure(floor["gbps_one_thread"])],
        ["copy, all cores, GB/s read and written", _figure(floor["gbps_all_cores"])],
        ["one call of a compiled program, µs", _figure(floor["call_us"])],
    ]
    rows: list[list[str]] = []
    for name, one in floor["workloads"].items():
        runs = _runs(records, name)
        ours = runs.get("foedus") or runs.get("cohort-10000")
        own = statistics.median(_seconds(ours)) if ours else None
        rows.append(
            [
                name,
                _figure(one["examples"]),
                _figure(one["gflop"]),
                _figure(one["megabytes"]),
                _figure(one["floor_s"]),
                one["bound"],
                _figure(own),
                _figure(own / one["floor_s"] if own else None),
            ]
        )
    head = ("", "examples a round", "GFLOP", "MB", "floor, s", "bound by", "ours, s", "times the floor")
    return "\n".join([_table(("", ""), able), floor["formula"] + "\n", _table(head, rows)])


def _where(result: Any) -> str:
    """Where the time of our rounds goes."""
    found = result["workloads"]
    kinds = list(found[0]["shares"])
    rows = [
        [one["workload"], *(_figure(one["seconds_per_round"] * one["shares"][kind]) for kind in kinds)]
        for one in found
    ]
    text = (
        "Seconds a round, split as a profile of the same rounds splits. Products are arithmetic; copies, "
        "slices and concatenations layout; other steps memory traffic; launch is between the steps of a "
        "program, and Python between programs.\n"
    )
    return "\n".join([text, _table(("", *kinds), rows)])


def _left_out(records: Sequence[Record]) -> str:
    measured = {record["name"] for record in records if "result" in record and "name" in record}
    missing = {r["label"]: r["why"] for r in records if "left_out" in r and r["left_out"] not in measured}
    if not missing:
        return ""
    return "## Left out\n\n" + "".join(f"- {label}: {why}\n" for label, why in missing.items())
