"""`python -m benchmarks`: what sqcodec costs, on one thread of the CPU, and on a GPU."""

from typing import Any

import click
import torch

from sqcodec.errors import SqcodecError

_ON_A_CPU = (
    "rows",
    "codes",
    "conditions",
    "damage",
    "kills",
    "memory",
    "needs",
    "narrow",
    "engines",
    "vocoders",
    "growth",
    "figure",
    "rank",
    "rate",
    "sounds",
    "live",
)


class Benchmarks(click.Group):
    """The command is `rows` where the first word names no other. Commands are imported when they are called: `gpu` runs
    where no package for audio files is installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*_ON_A_CPU, "gpu"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "gpu":
            from benchmarks.gpu import gpu

            return gpu
        if cmd_name in _ON_A_CPU:
            from benchmarks.commands import COMMANDS

            return next(command for command in COMMANDS if command.name == cmd_name)
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.list_commands(ctx) or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["rows", *args])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SqcodecError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Benchmarks)
def main() -> None:
    """Measure what sqcodec costs, on one thread of the CPU; `gpu` measures a GPU.

    Without a command, or with names of rows: `rows`. See 'python -m benchmarks rows --help'.
    """
    torch.set_num_threads(1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
