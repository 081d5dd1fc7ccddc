"""`sqcodec import-sony`."""

from pathlib import Path

import click

from sqcodec.cli.options import PATH
from sqcodec.cli.wording import echo


@click.command("import-sony")
@click.argument("checkpoint", type=PATH)
@click.argument("out", type=PATH)
@click.option("--speakers", required=True, type=PATH, help="The speakers.json of its training.")
def import_sony(checkpoint: Path, out: Path, speakers: Path) -> None:
    """Convert CHECKPOINT of the official SQ-VAE speech code to a model in the folder OUT.

    \b
    Example: sqcodec import-sony model.ckpt-500000.pt --speakers speakers.json runs/sony
    """

    from sqcodec.pipeline.training.import_sony import import_sony as import_checkpoint

    imported = import_checkpoint(checkpoint, speakers, out)
    echo(
        f"{imported.path}: variance {imported.variance}, step {imported.step}, {imported.speakers} speakers,"
        f" fingerprint {imported.fingerprint}"
    )
    echo(f"Next: sqcodec encode in.wav out.sqc --model {out}")
