# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""Compares rounds of Foedus with those of other frameworks and of loops written by hand, and writes a page.

Peers are scripts in the folder --peers (or BENCH_PEERS). Each takes --workload and --rounds, reads the
clients in BENCH_HOME/data as benchmarks/workload_data.py says, draws the same cohorts, and prints one JSON
line with the fields of benchmarks/rounds.py. It is run by the Python of an environment in BENCH_HOME/envs. A
peer whose script or environment is missing is named as left out.

Everything runs interleaved: each program once, then all again. What was measured is kept, line by line, in a
file beside the page, so that a stopped comparison goes on with --resume, and the page can be written anew
with --from-json, without measuring.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from measured_run import measured_run
from results_page import page
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from this_machine import machine, versions
from workload_data import DATA, HOME, WORKLOADS

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Peer:
    """A program that does the rounds of a workload.

    Args:
        label: What the tables call it.
        command: The script and its arguments.
        environment: The folder in BENCH_HOME/envs whose Python runs it; empty for a script of this folder and
            this Python.
        workloads: What it can do.
        exact: Whether it does equal work, so that its final weights are ours.
        from_disk: Whether it finds on disk what Foedus compiled in a run before.
        extra: A package that it needs and that is not always there.
    """

    label: str
    command: str
    environment: str
    workloads: str
    exact: bool = True
    from_disk: bool = False
    extra: str = ""


OURS = {
    "foedus": Peer("**Foedus**", "rounds.py", "", "W1 W2 W3 W4"),
    "foedus-from-disk": Peer(
        "Foedus, compiled in an earlier run", "rounds.py", "", "W1 W2 W3 W4", from_disk=True
    ),
    "foedus-operators": Peer("Foedus, by operators", "rounds.py --way operators", "", "W1 W2"),
    "foedus-keras": Peer("Foedus, Keras on JAX", "rounds.py --way keras", "", "W1 W2 W3", extra="keras"),
    "foedus-tff": Peer(
        "Foedus by TFF's names, Keras on TensorFlow, `tf.data`",
        "rounds.py --way tff",
        "",
        "W1 W2 W3",
        extra="tensorflow",
    ),
    "cohort-2500": Peer("2,500", "rounds.py --cohort 2500", "", "W5"),
    "cohort-5000": Peer("5,000", "rounds.py --cohort 5000", "", "W5"),
    "cohort-10000": Peer("10,000", "rounds.py --cohort 10000", "", "W5"),
}
PEERS = {
    "tff": Peer("TFF, dataset reduce (its default)", "tff.py", "tff", "W1 W2 W3 W4"),
    "tff-iterator": Peer(
        "TFF, dataset iterator", "tff.py --loop iterator --name tff-iterator", "tff", "W1 W2 W3 W4"
    ),
    "flower": Peer("Flower, Ray back end", "flower.py", "flower", "W1 W2 W3 W4"),
    "pfl": Peer("pfl, PyTorch", "pfl_.py", "pfl", "W1 W2 W3 W4"),
    "fedjax": Peer("FedJAX (wraps the last batch)", "fedjax_.py", "fedjax", "W1 W2 W3 W4", exact=False),
    "fedjax-exact": Peer(
        "FedJAX, exact last batch", "fedjax_.py --exact --name fedjax-exact", "fedjax", "W1 W2 W3 W4"
    ),
    "drjax": Peer("DrJAX, FedAvg by hand", "drjax_.py", "drjax", "W1 W2 W4"),
    "drjax-im2col": Peer("DrJAX, convolutions as im2col", "drjax_.py --im2col", "drjax", "W3"),
    "torch-loop": Peer("hand-written PyTorch loop", "torch_limit.py", "pfl", "W1 W2 W3 W4"),
    "jax-steps": Peer(
        "hand-written JAX, one call a batch", "jax_limit.py --variant steps", "jax", "W1 W2 W3 W4"
    ),
    "jax-steps-im2col": Peer(
        "hand-written JAX, one call a batch, im2col", "jax_limit.py --variant steps --im2col", "jax", "W3"
    ),
    "jax-scan": Peer("hand-written JAX, scan over clients", "jax_limit.py --variant scan", "jax", "W1 W2 W4"),
    "jax-scan-im2col": Peer(
        "hand-written JAX, scan over clients, im2col", "jax_limit.py --variant scan --im2col", "jax", "W3"
    ),
    "jax-packed": Peer("hand-written JAX, packed scan", "jax_limit.py --variant packed", "jax", "W1 W2 W4"),
    "jax-packed-im2col": Peer(
        "hand-written JAX, packed scan, im2col", "jax_limit.py --variant packed --im2col", "jax", "W3"
    ),
    "jax-vmap": Peer("hand-written JAX, vmap over clients", "jax_limit.py --variant vmap", "jax", "W1 W2 W4"),
    "jax-shard2": Peer(
        "hand-written JAX, packed, two devices", "jax_limit.py --variant shard2", "jax", "W1 W2 W4"
    ),
    "jax-shard2-im2col": Peer(
        "hand-written JAX, packed, two devices, im2col", "jax_limit.py --variant shard2 --im2col", "jax", "W3"
    ),
    "keras-by-hand": Peer(
        "hand-written loop with Keras on JAX", "keras_by_hand.py", "", "W1 W2", extra="keras"
    ),
    "resident-1": Peer("hand-written JAX, resident data", "resident_layout.py --devices 1", "jax", "W1 W2"),
    "resident-2": Peer(
        "hand-written JAX, resident data, two devices", "resident_layout.py --devices 2", "jax", "W1 W2"
    ),
}
SINGLE = {"floor": "floor.py", "where": "where_time_goes.py", "untuned": "untuned.py"}
"""Scripts of this folder that are run once, and have a section of their own."""
PACKAGES = {
    "tff": "tensorflow-federated tensorflow-cpu",
    "flower": "flwr ray torch",
    "pfl": "pfl torch",
    "fedjax": "fedjax jax",
    "drjax": "drjax jax",
    "jax": "jax jaxlib",
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workloads", default=",".join(WORKLOADS), help="by default all that there are data for"
    )
    parser.add_argument("--repeats", type=int, default=3, help="how often everything runs")
    parser.add_argument("--rounds", type=int, help="rounds of a run; by default as many as the workload says")
    parser.add_argument("--timeout", type=float, default=600, help="seconds after which a run is killed")
    parser.add_argument(
        "--peers",
        type=Path,
        default=os.environ.get("BENCH_PEERS"),
        help="the folder with the peers' scripts; by default BENCH_PEERS, else there are none",
    )
    parser.add_argument("--only", help="names of the programs to run, such as foedus,tff; by default all")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md", help="the page")
    parser.add_argument(
        "--resume", action="store_true", help="keep what was measured, and run what is missing"
    )
    parser.add_argument("--from-json", action="store_true", help="write the page anew, without measuring")
    options = parser.parse_args()
    options.workloads = options.workloads.split(",")
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    names = [*SINGLE, *OURS, *PEERS]
    options.only = options.only.split(",") if options.only else names
    unknown += [name for name in options.only if name not in names]
    if unknown:
        parser.error(
            f"not known: {', '.join(unknown)}; there are {', '.join(WORKLOADS)} and {', '.join(names)}"
        )
    return options


class Journal:
    """What was measured, line by line in a file.

    Args:
        path: The file.
        keep: Whether what is in it stays.
    """

    def __init__(self, path: Path, *, keep: bool) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if keep and path.exists() else []
        self.records: list[dict[str, Any]] = [json.loads(line) for line in lines]
        if not keep:
            path.write_text("", encoding="utf-8")

    def add(self, record: dict[str, Any]) -> None:
        """Keeps a record."""
        self.records.append(record)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def has(self, **fields: Any) -> bool:
        """Whether there is a record of something that did not fail."""
        return any(
            "failed" not in record and all(record.get(name) == value for name, value in fields.items())
            for record in self.records
        )


class Comparison:
    """A comparison that goes on.

    Args:
        options: What to run.
        journal: Where the records go.
        console: Where progress is shown.
    """

    def __init__(self, options: argparse.Namespace, journal: Journal, console: Console) -> None:
        self.options = options
        self.journal = journal
        self.console = console

    def run(self) -> None:
        """Runs everything that is not in the journal yet."""
        _compile_modules()
        there = [(name, peer) for name, peer in self._chosen() if self._is_there(name, peer)]
        planned = list(self._planned(there))
        single = [name for name in SINGLE if name in self.options.only and not self.journal.has(single=name)]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task("", total=len(planned) + len(single))
            for name in single:
                progress.update(task, description=name)
                self._note(name, self._run_single(name))
                progress.advance(task)
            for name, peer, workload, repeat in planned:
                progress.update(task, description=f"{workload}, {name}, run {repeat}")
                self._note(f"{workload} {name}", self._run_peer(name, peer, workload, repeat))
                progress.advance(task)

    def rounds(self, workload: str) -> int:
        """How many rounds a run has."""
        return self.options.rounds or WORKLOADS[workload].rounds

    def _chosen(self) -> Iterator[tuple[str, Peer]]:
        wanted = set(self.options.workloads)
        for name, peer in {**OURS, **PEERS}.items():
            if name in self.options.only and wanted & set(peer.workloads.split()):
                yield name, peer

    def _is_there(self, name: str, peer: Peer) -> bool:
        """Whether a peer can be run; if not, it is written down why."""
        why = self._missing(peer)
        if why and not self.journal.has(left_out=name):
            self._say(f"{name} is left out: {why}")
            self.journal.add({"left_out": name, "label": peer.label, "why": why})
        return not why

    def _missing(self, peer: Peer) -> str:
        if peer.extra and importlib.util.find_spec(peer.extra) is None:
            return f"there is no package {peer.extra}"
        if not peer.environment:
            return ""
        if self.options.peers is None:
            return "there is no folder of peers"
        if not (self.options.peers / peer.command.split()[0]).exists():
            return f"there is no script {peer.command.split()[0]}"
        if not _python(peer).exists():
            return f"there is no environment {peer.environment}"
        return ""

    def _planned(self, there: list[tuple[str, Peer]]) -> Iterator[tuple[str, Peer, str, int]]:
        for repeat in range(1, self.options.repeats + 1):
            for workload in self.options.workloads:
                for name, peer in there:
                    done = {"name": name, "workload": workload, "repeat": repeat}
                    known = self.journal.has(**done, rounds=self.rounds(workload))
                    if workload in peer.workloads.split() and not known:
                        yield name, peer, workload, repeat

    def _run_single(self, name: str) -> dict[str, Any]:
        command = [sys.executable, str(HERE / SINGLE[name])]
        return {"single": name, **self._measured(command, kept=None)}

    def _measured(self, command: list[str], *, kept: Path | None) -> dict[str, Any]:
        """Runs a program that keeps what Foedus compiles in a folder, or nowhere."""
        environment = {
            "FOEDUS_CACHE_DIR": "" if kept is None else str(kept),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        return measured_run(command, timeout=self.options.timeout, environment=environment)

    def _run_peer(self, name: str, peer: Peer, workload: str, repeat: int) -> dict[str, Any]:
        script, *arguments = peer.command.split()
        folder = self.options.peers if peer.environment else HERE
        rounds = self.rounds(workload)
        command = [str(_python(peer)), str(folder.resolve() / script), *arguments]
        command += ["--workload", workload, "--rounds"]
        kept = HOME / "compiled" if peer.from_disk else None
        if peer.from_disk and repeat == 1:
            self._measured([*command, "1"], kept=kept)
        outcome = self._measured([*command, str(rounds)], kept=kept)
        record = {"name": name, "label": peer.label, "exact": peer.exact, "workload": workload}
        record |= {"repeat": repeat, "rounds": rounds, **outcome}
        if "failed" in outcome:
            return record
        try:
            return record | self._compared(name, workload, outcome["result"])
        except (KeyError, OSError, TypeError, ValueError) as error:
            del record["result"]
            return record | {"failed": f"its result is not understood: {type(error).__name__}: {error}"}

    def _compared(self, name: str, workload: str, result: dict[str, Any]) -> dict[str, float]:
        """Checks a result, and compares the final weights with ours, which it keeps."""
        float(result["seconds_per_round"])
        weights = Path(result.pop("weights"))
        rounds = self.rounds(workload)
        ours = DATA / "final" / f"compared-{workload}-{rounds}.npz"
        if name == "foedus":
            shutil.copyfile(weights, ours)
            return {}
        known = self.journal.has(name="foedus", workload=workload, rounds=rounds)
        if not known or WORKLOADS[workload].model == "cnn":
            return {}
        return {"distance": distance(workload, ours, weights)}

    def _note(self, what: str, record: dict[str, Any]) -> None:
        if "failed" in record:
            record["failed"] = self._without_places(record["failed"])
            self._say(f"{what} failed: {record['failed']}")
        elif "name" in record:
            seconds = record["result"]["seconds_per_round"]
            self._say(f"{what}: {seconds:.4g} s a round")
        self.journal.add(record)

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _without_places(self, text: str) -> str:
        """A text without the folders of this machine."""
        places = {HOME: "BENCH_HOME", self.options.peers: "BENCH_PEERS", HERE.parent: ".", Path.home(): "~"}
        for place, name in places.items():
            text = text if place is None else text.replace(str(place), name)
        return text


def _compile_modules() -> None:
    """Compiles the modules of Foedus to bytecode, as pip has done with those of the peers."""
    spec = importlib.util.find_spec("foedus")
    for folder in (spec and spec.submodule_search_locations) or []:
        compileall.compile_dir(folder, quiet=1)


def _python(peer: Peer) -> Path:
    return HOME / "envs" / peer.environment / "bin" / "python" if peer.environment else Path(sys.executable)


def distance(workload: str, ours: Path, theirs: Path) -> float:
    """How far weights are from ours, relative to how far training moved ours."""

    def read(path: Path) -> list[np.ndarray[Any, Any]]:
        archive = np.load(path)
        return [archive[name] for name in archive.files]

    def norm(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]]) -> float:
        parts = [np.sum((a.astype(np.float64) - b) ** 2) for a, b in zip(one, other, strict=True)]
        return float(np.sqrt(np.sum(parts)))

    trained = read(ours)
    return norm(read(theirs), trained) / norm(trained, WORKLOADS[workload].initial)


def about_this_run(options: argparse.Namespace) -> dict[str, Any]:
    """Where, when and how it was measured."""
    words = ["BENCH_PEERS=..."] if options.peers else []
    words += ["python benchmarks/compare.py", f"--workloads {','.join(options.workloads)}"]
    words += [f"--repeats {options.repeats}"]
    words += [f"--rounds {options.rounds}"] if options.rounds else []
    words += [] if options.only == [*SINGLE, *OURS, *PEERS] else [f"--only {','.join(options.only)}"]
    environments = {
        name: versions(HOME / "envs" / name / "bin" / "python", packages.split())
        for name, packages in PACKAGES.items()
    }
    return {
        "machine": machine(),
        "environments": {
            "foedus": versions(Path(sys.executable), ["foedus", "jax", "jaxlib", "numpy", "keras"]),
            **{name: found for name, found in environments.items() if found},
        },
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(words),
    }


def main() -> None:
    options = parse()
    console = Console(stderr=True)
    if not options.from_json and not DATA.is_dir():
        console.print("There are no workloads in BENCH_HOME/data; workload_data.py says what they are.")
        return
    journal = Journal(options.output.with_suffix(".jsonl"), keep=options.resume or options.from_json)
    try:
        if not options.from_json:
            journal.add(about_this_run(options))
            Comparison(options, journal, console).run()
    except KeyboardInterrupt:
        console.print("Stopped; --resume goes on.")
    options.output.write_text(page(journal.records), encoding="utf-8")
    console.print(f"The page is in {options.output}.", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
