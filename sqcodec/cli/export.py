"""`sqcodec export`."""

from pathlib import Path
from typing import Literal

import click

from sqcodec.cli.failures import resumable
from sqcodec.cli.options import (
    PATH,
    GivenPath,
    backend_option,
    bitrate_option,
    chosen_backend,
    codebooks_option,
    device_option,
    jobs_option,
    json_option,
    model_option,
    quiet_option,
    scheduler_option,
)
from sqcodec.cli.progress import progress_bar
from sqcodec.cli.wording import echo_folder_result


@click.command()
@click.argument("recordings", metavar="DIR", type=GivenPath(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=PATH)
@click.option(
    "--to",
    "form",
    type=click.Choice(["jsonl", "parquet", "webdataset"]),
    default="jsonl",
    show_default=True,
    help="Format of the shards; parquet needs sqcodec[export].",
)
@click.option(
    "--layout",
    type=click.Choice(["stages", "flat", "delay"]),
    default="stages",
    show_default=True,
    help="Order of the ids: a row a codebook, frame by frame, or delayed rows.",
)
@click.option("--offset", type=click.IntRange(0, 1 << 30), default=0, show_default=True, help="The first id.")
@model_option
@click.option("--speaker", metavar="NAME", help="Speaker of the model [default: the nearest].")
@codebooks_option
@bitrate_option
@click.option("--shard", type=click.IntRange(min=1), default=1000, show_default=True, help="Recordings of a shard.")
@jobs_option
@backend_option
@scheduler_option
@quiet_option
@json_option
@device_option
def export(
    recordings: Path,
    out: Path,
    form: Literal["jsonl", "parquet", "webdataset"],
    layout: Literal["stages", "flat", "delay"],
    offset: int,
    model: str | None,
    speaker: str | None,
    codebooks: int | None,
    bitrate: float | None,
    shard: int,
    jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
    device: str,
) -> None:
    """Encode the recordings in DIR to token ids for language models: shards and a meta.json in the folder OUT.

    \b
    Example: sqcodec export recordings/ tokens/ --layout flat --offset 3
             sqcodec decode tokens/codes-00000.jsonl.gz out.wav --row 0
    A row has the ids, length, speaker (the folder of the recording) and transcript (a .txt or .lab of the same name, or
    a .trans.txt of the folder). Run the same command again to continue.
    """
    from sqcodec.pipeline.coding import exporting, folders

    with resumable(), progress_bar(quiet=quiet) as show:
        done = exporting.export_folder(
            recordings, out, form=form, layout=layout, offset=offset, model=model, speaker=speaker,
            codebooks=codebooks, bit_rate=bitrate, rows_per_shard=shard, device=device,
            workers=folders.Workers(jobs, chosen_backend(backend, scheduler)), progress=show,
        )  # fmt: skip
    echo_folder_result(out, done, quiet=quiet, as_json=as_json)
