"""`sqcodec tables`."""

from pathlib import Path

import click

from sqcodec.cli.options import PATH, device_option


@click.command()
@click.argument("model", metavar="PATH|NAME")
@click.option("--features", type=PATH, required=True, help="The feature store it was trained on.")
@click.option("--split", default="test", show_default=True, help="Split of the store on which the bits are measured.")
@click.option("--out", type=PATH, help="Write the model with its tables here [default: in place].")
@device_option
def tables(model: str, features: Path, split: str, out: Path | None, device: str) -> None:
    """Count the codes that a model makes of its training set, and keep the counts in its file.

    \b
    Example: sqcodec tables runs/vctk --features data/vctk
    'sqcodec train' does it at its end; this is for models from elsewhere. Codes written before still decode.
    """
    from sqcodec.pipeline.training.count_tables import make_tables

    done = make_tables(model, features, split=split, out=out, device=device)
    fixed, plain, context = done.bits
    click.echo(
        f"{done.path}: {done.codes} codes counted; on {done.split} a code takes {fixed:.2f} bits at fixed width,"
        f" {plain:.2f} by its own frequency, {context:.2f} after the code before"
    )
