"""`sqcodec encode` and `sqcodec decode`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from sqcodec.cli.cluster import backend_option, scheduler_option, where
from sqcodec.cli.wording import model_text, speaker_text

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.folders import FolderDone

_MODEL = click.option(
    "--model", metavar="PATH|NAME", help="Model file, run folder, or a name under runs/ [default: SQCODEC_MODEL]."
)
_DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")


_PATH = click.Path(path_type=Path, allow_dash=True)
_QUIET = click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
_JOBS = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Of a folder, at once.")
_RAW = click.option(
    "--raw", type=click.Choice(["s16le", "f32le"]), help="The sound has no header: one channel of this."
)


@click.command()
@click.argument("recording", metavar="IN", type=_PATH)
@click.argument("codes", type=_PATH)
@_MODEL
@click.option("--speaker", metavar="NAME", help="Whose voice it is [default: the nearest that the model knows].")
@click.option("--format", "form", type=click.Choice(["sqc", "npy"]), help="Of CODES [default: its suffix, else sqc].")
@click.option("--codebooks", type=click.IntRange(min=1), help="How many of the model's to use [default: all].")
@click.option("--bitrate", type=click.FloatRange(min=1), help="As many codebooks as fit this nominal rate, in bit/s.")
@_RAW
@click.option("--rate", type=click.IntRange(1000, 384000), help="Of --raw, in Hz.")
@_JOBS
@backend_option
@scheduler_option
@_QUIET
@_DEVICE
def encode(
    recording: Path,
    codes: Path,
    model: str | None,
    speaker: str | None,
    form: Literal["sqc", "npy"] | None,
    codebooks: int | None,
    bitrate: float | None,
    raw: Literal["s16le", "f32le"] | None,
    rate: int | None,
    jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    device: str,
) -> None:
    """Turn the recording IN into CODES: a compact .sqc, or a .npy for NumPy. A folder gives a folder.

    \b
    Example: sqcodec encode in.wav out.sqc
             sqcodec encode recordings/ codes/ --jobs 4
    Any format, rate and length; - reads standard input or writes standard output.
    Without --model and SQCODEC_MODEL, the newest run under runs/ is used.
    """
    if codebooks and bitrate:
        raise click.UsageError("--codebooks and --bitrate say the same thing twice; give one of them.")
    if (raw is None) != (rate is None):
        raise click.UsageError("--raw and --rate go together: samples without a header need both.")
    if recording.is_dir():
        if raw:
            raise click.UsageError("--raw is for one recording, not for a folder.")
        how = Workers(jobs, where(backend, scheduler), quiet)
        _encode_folder(recording, codes, model, speaker, form, how, device, codebooks=codebooks, bit_rate=bitrate)
        return
    from sqcodec.pipeline.coding import files

    done = files.encode_file(
        recording, codes, model=model, speaker=speaker, device=device, form=form, raw=files.raw_format(raw, rate),
        codebooks=codebooks, bit_rate=bitrate,
    )  # fmt: skip
    chosen = f" (nearest of {done.speakers})" if done.found and done.speakers else ""
    _tell(
        codes,
        done.notes,
        f"{done.seconds:.2f} s, {done.codes} codes, {done.size} bytes: {done.bit_rate:.0f} bit/s"
        f" (nominal {done.nominal_bit_rate:.0f}){speaker_text(done.speaker)}{chosen}, model {model_text(done.model)}",
        quiet,
    )


@click.command()
@click.argument("codes", type=_PATH)
@click.argument("recording", metavar="OUT", type=_PATH)
@_MODEL
@click.option("--speaker", metavar="NAME", help="Whose voice to give it [default: the one stored in CODES].")
@click.option(
    "--vocoder", metavar="NAME", help="istft, world, griffin-lim, a file or a run [default: the best there is]."
)
@click.option("--rate", type=click.IntRange(1000, 384000), help="Of OUT, in Hz [default: the model's].")
@click.option("--recover", is_flag=True, help="Decode what is intact of a damaged .sqc, the rest as silence.")
@_RAW
@_JOBS
@backend_option
@scheduler_option
@_QUIET
@_DEVICE
def decode(
    codes: Path,
    recording: Path,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    recover: bool,
    raw: Literal["s16le", "f32le"] | None,
    jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    device: str,
) -> None:
    """Turn CODES (.sqc or .npy) back into the sound file OUT (.wav, .flac or .ogg). A folder gives a folder of WAVs.

    \b
    Example: sqcodec decode out.sqc out.wav --speaker p225
             sqcodec decode codes/ decoded/ --jobs 4
    The model that wrote CODES is found by its fingerprint; - reads standard input or writes a WAV to standard output.
    """
    if codes.is_dir():
        if raw or recover:
            raise click.UsageError("--raw and --recover are for one file, not for a folder.")
        _decode_folder(
            codes, recording, model, speaker, vocoder, rate, Workers(jobs, where(backend, scheduler), quiet), device
        )
        return
    from sqcodec.pipeline.coding import files

    done = files.decode_file(
        codes, recording, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device, recover=recover,
        raw=raw,
    )  # fmt: skip
    text = f"{done.seconds:.2f} s at {done.sample_rate} Hz{speaker_text(done.speaker)}, model {model_text(done.model)}"
    _tell(recording, done.notes, text, quiet)
    if done.lost:
        spans = ", ".join(f"{span.start:.0f} to {span.stop:.2f} s" for span in done.lost)
        raise click.ClickException(f"{codes}: damaged: silence where the codes are lost, {spans}")


class Workers(NamedTuple):
    """How a folder is worked on."""

    jobs: int
    backend: str
    quiet: bool


def _encode_folder(
    source: Path,
    target: Path,
    model: str | None,
    speaker: str | None,
    form: Literal["sqc", "npy"] | None,
    how: Workers,
    device: str,
    *,
    codebooks: int | None,
    bit_rate: float | None,
) -> None:
    from sqcodec.pipeline.coding import folders

    with _progress(how.quiet) as progress:
        done = folders.encode_folder(
            source, target, model=model, speaker=speaker, device=device, form=form,
            codebooks=codebooks, bit_rate=bit_rate, how=folders.Workers(how.jobs, how.backend), progress=progress,
        )  # fmt: skip
    rate = f", {done.size} bytes: {8 * done.size / done.seconds:.0f} bit/s" if done.seconds else ""
    _tell_folder(target, done, rate, how.quiet)


def _decode_folder(
    source: Path,
    target: Path,
    model: str | None,
    speaker: str | None,
    vocoder: str | None,
    rate: int | None,
    how: Workers,
    device: str,
) -> None:
    from sqcodec.pipeline.coding import folders

    with _progress(how.quiet) as progress:
        done = folders.decode_folder(
            source, target, model=model, speaker=speaker, vocoder=vocoder, rate=rate, device=device,
            how=folders.Workers(how.jobs, how.backend), progress=progress,
        )  # fmt: skip
    _tell_folder(target, done, "", how.quiet)


def _tell(target: Path, notes: tuple[str, ...], text: str, quiet: bool) -> None:
    """Notes to standard error, the result to standard output, unless that carries the file itself."""
    if not quiet:
        for note in notes:
            click.echo(note, err=True)
        click.echo(f"{target}: {text}", err=str(target) == "-")


def _tell_folder(target: Path, done: "FolderDone", rate: str, quiet: bool) -> None:
    kept = f"; {done.kept} were there already" if done.kept else ""
    _tell(target, (done.note,) if done.note else (), f"{done.done} files, {done.seconds:.2f} s{rate}{kept}", quiet)
    if done.failed:
        number = len(done.failed) + done.done + done.kept
        listed = "\n".join(f"  {failure.reason}" for failure in done.failed)
        raise click.ClickException(f"{len(done.failed)} of {number} files failed:\n{listed}")


def _silently(_done: int, _total: int) -> None:
    """Say nothing about progress."""


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error when that is a terminal, otherwise silence."""
    if quiet or not sys.stderr.isatty():
        yield _silently
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("files", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
