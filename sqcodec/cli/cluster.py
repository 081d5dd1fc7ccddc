"""Where the processes of a command run: the options `--backend` and `--scheduler`."""

import click

backend_option = click.option(
    "--backend",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Processes of this machine, or a Dask cluster.",
)
scheduler_option = click.option("--scheduler", metavar="ADDRESS", help="Of --backend dask, such as tcp://host:8786.")


def where(backend: str, scheduler: str | None) -> str:
    """The two as the pipeline takes them: `local`, `dask`, or a scheduler's address."""
    if scheduler and backend != "dask":
        raise click.UsageError("--scheduler is for --backend dask.")
    return scheduler or backend
