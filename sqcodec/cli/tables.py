"""`sqcodec tables`."""

from pathlib import Path

import click

from sqcodec.cli.options import PATH, device_option
from sqcodec.cli.wording import echo


@click.command()
@click.argument("model", metavar="PATH|NAME")
@click.option("--features", type=PATH, required=True, help="Feature store of the model's training.")
@click.option("--split", default="test", show_default=True, help="Split on which to measure the bits per code.")
@click.option("--out", type=PATH, help="Write the model with its tables here [default: in place].")
@device_option
def tables(model: str, features: Path, split: str, out: Path | None, device: str) -> None:
    """Count a model's codes on its training set, and store the counts in the model file.

    \b
    Example: sqcodec tables runs/sony --features data/zerospeech2019
    'sqcodec train' ends with this step; imported models need it. Codes files written before still decode.
    """
    from sqcodec.pipeline.training.count_tables import make_tables

    counted = make_tables(model, features, split=split, out=out, device=device)
    fixed, order_0, order_1 = counted.bits
    echo(
        f"{counted.path}: {counted.codes} codes counted; bits per code on {counted.split}: {fixed:.2f} at fixed width,"
        f" {order_0:.2f} of order 0, {order_1:.2f} of order 1"
    )
