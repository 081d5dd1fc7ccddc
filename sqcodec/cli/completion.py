"""`sqcodec completion`."""

import click
from click.shell_completion import get_completion_class

from sqcodec.cli.wording import echo


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which your shell completes commands and options of sqcodec.

    \b
    Example: eval "$(sqcodec completion bash)"              (in ~/.bashrc)
             eval "$(sqcodec completion zsh)"               (in ~/.zshrc)
             sqcodec completion fish > ~/.config/fish/completions/sqcodec.fish
    """
    shell_class = get_completion_class(shell)
    assert shell_class is not None
    echo(shell_class(ctx.find_root().command, {}, "sqcodec", "_SQCODEC_COMPLETE").source())
