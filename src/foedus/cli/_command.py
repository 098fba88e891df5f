# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``foedus``: its verbs, and what its exit codes mean."""

from __future__ import annotations

import sys

import click

from foedus.errors import CorruptDataError, ExecutionError, FoedusError

FAILED, USERS_MISTAKE, INTERRUPTED = 1, 2, 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 failure, 2 a mistake in what was asked for, 130 interrupted.",
)
@click.version_option(package_name="foedus", prog_name="foedus")
def cli() -> None:
    """Foedus: machine learning on decentralized data.

    Start with `foedus demo`, which trains a model on handwriting that never leaves its clients.
    """


@cli.command()
@click.option(
    "--data",
    type=click.Choice(["digits", "emnist"]),
    default="digits",
    show_default=True,
    help="digits: 8x8 pixels on 14 writing forms, part of the package. emnist: 28x28 pixels by hundreds of "
    "writers, from your own file (see FOEDUS_DATA_DIR) or downloaded once.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), help="Rounds of training; by default what the data need."
)
@click.option("--clients", type=click.IntRange(min=1), help="Clients drawn for each round.")
@click.option("--seed", type=int, default=0, show_default=True, help="What all randomness is derived from.")
@click.option(
    "--into",
    type=click.Path(file_okay=True, dir_okay=True),
    help="Folder for checkpoints, metrics.csv and curves.png; by default runs/demo, or runs/demo-emnist. The "
    "same call goes on where an interrupted one stopped.",
)
def demo(data: str, rounds: int | None, clients: int | None, seed: int, into: str | None) -> None:
    """Train a small network with federated averaging and show how well it reads unseen handwriting.

    Takes less than a minute on two cores. Leaves checkpoints, a table of metrics and a drawing of the
    learning curves.
    """
    from foedus.cli._demo import run_demo

    run_demo(data, rounds=rounds, clients=clients, seed=seed, into=into)


@cli.group()
def data() -> None:
    """Look at the data sets that Foedus knows."""


@data.command("list")
def list_data() -> None:
    """List the data sets, a line each."""
    from foedus.cli._data import list_data_sets

    list_data_sets()


@data.command("info")
@click.argument("name")
def info(name: str) -> None:
    """Show the clients, sizes and types of the data set NAME.

    NAME is one of those that `foedus data list` shows.
    """
    from foedus.cli._data import describe_data_set

    describe_data_set(name)


@cli.command()
@click.argument("target", metavar="MODULE:NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html"]),
    help="text: a report, the default. json: for other programs. html: one page with a drawing of the data "
    "flow, which needs nothing else to be looked at. Without this option the ending of --output decides.",
)
@click.option(
    "--clients",
    metavar="N",
    type=click.IntRange(min=0),
    help="Count the bytes of N clients in all, too.",
)
@click.option(
    "--tier",
    "tiers",
    metavar="NAME=N",
    multiple=True,
    help="Count the bytes of N members of the tier NAME in all, too. Can be given for each tier.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write to FILE instead of printing.",
)
def explain(
    target: str, form: str | None, clients: int | None, tiers: tuple[str, ...], output: str | None
) -> None:
    """Show what a computation does with data before it runs: who sees what.

    Tells its type, every value that crosses between clients, tiers and server with its bytes and how it
    travels (as a plain sum, a secure sum or a raw collection), what each of them sees, and which local code
    runs where. Nothing is run for it.

    MODULE is importable from here; NAME is a computation, a process, a learning algorithm, or a function
    without arguments that returns one. Of a process, one step is explained.

    \b
    Examples:
      foedus explain foedus.simulation.baselines.digits:training
      foedus explain foedus.simulation.baselines.digits:training --clients 100 --output flow.html
    """
    from foedus.cli._explain import explain_target

    explain_target(target, form=form, clients=clients, tiers=tiers, output=output)


def main() -> None:
    """Runs the command with the arguments of the process, and ends the process."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except FoedusError as error:
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
        failed = isinstance(error, ExecutionError | CorruptDataError)
        sys.exit(FAILED if failed else USERS_MISTAKE)
