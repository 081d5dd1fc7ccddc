"""`python -m sqcodec.quickstart`: speech to codes and back on this machine; with `--train`, the whole pipeline."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click

from sqcodec.errors import SqcodecError
from sqcodec.file_names import CHECKPOINT, MODEL

_PACKAGE = Path(__file__).resolve().parent
_RECIPES = next(path for path in (_PACKAGE / "recipes", _PACKAGE.parent / "recipes") if path.is_dir())
_SPEECH = _RECIPES / "tiny" / "speech" / "VCTK-Corpus-0.92"
_UTTERANCE = _SPEECH / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac"


@click.command()
@click.argument("recording", metavar="[IN]", required=False, type=click.Path(path_type=Path))
@click.option("--train", "trained", is_flag=True, help="Features, training, codes: the whole pipeline in two minutes.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("quickstart"), show_default=True, help="Folder for results."
)
def quickstart(recording: Path | None, trained: bool, out: Path) -> None:
    """Encode the recording IN, or an utterance that ships, decode it, and say where the files are.

    \b
    Example: python -m sqcodec.quickstart in.wav
    """
    if recording and not recording.is_file():
        got = "a folder; give one recording" if recording.is_dir() else "no such file; give a recording"
        raise click.ClickException(f"{recording}: {got} (WAV, FLAC, OGG, MP3), or nothing to use the speech that ships")
    if trained and len(list(_SPEECH.rglob("*.flac"))) < 2:
        raise click.ClickException("--train: the speech to train on is in a checkout of sqcodec only; run it there")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models gain nothing from more threads
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{out}: no folder for results: {error.strerror}; name another with --out") from None
    model = _train(out) if trained else Path("speech16k")
    source, codes, sound = recording or _shown(_UTTERANCE), out / "codes.sqc", out / "out.wav"
    _say(f"Encode and decode {recording or 'an utterance of the speech that ships'}")
    _run("encode", source, out / "codes.npy", "--model", model)
    _run("encode", source, codes, "--model", model)
    _run("decode", codes, sound, "--model", model)
    picture = _draw(source, out / "codes.npy", sound, out / "spectrograms.png")
    _say("Done")
    click.echo(
        f"What went in    {source}\nThe codes       {codes} (to store and send), {out / 'codes.npy'} (for NumPy)"
    )
    click.echo(f"What came back  {sound}\n{picture}\nHow to go on:")
    click.echo("\n".join(f"  {command:<46}  {text}" for command, text in _next(trained, model)))


def _train(out: Path) -> Path:
    """The run folder of the small model; a training that was stopped goes on, and a finished one is kept."""
    from sqcodec.pipeline.finding.models import unfit

    store, run = out / "data" / "tiny", out / "runs" / "tiny"
    if not unfit(run / MODEL):
        _say(f"The model of an earlier run is used: {run} (remove {out} to start again)")
        return run
    recipe = _shown(_RECIPES / "tiny")
    _say("Features of the speech that ships with sqcodec")
    _run("prep", recipe, "--data", _shown(_SPEECH), "--out", store)
    _say("Train a small Gaussian SQ-VAE on it (a few minutes)")
    resume = ["--resume"] if (run / CHECKPOINT).is_file() else []
    _run("train", recipe, "--features", store, "--out", run, *resume)
    return run


def _draw(source: Path, codes: Path, sound: Path, path: Path) -> str:
    """Draw what went in, the codes, and what came back; a line on it."""
    from sqcodec import plot
    from sqcodec.bitstream.npy import read_codes

    try:
        plot({"in": source, "codes": read_codes(codes), "out": sound}, path=path)
    except SqcodecError as error:
        return f"No picture      {error}"
    return f"All to see      {path}"


def _next(trained: bool, model: Path) -> list[tuple[str, str]]:
    if not trained:
        return [
            ("python -m sqcodec.quickstart IN.wav", "your own recording"),
            ("python -m sqcodec.quickstart --train", "features, training, codes: the whole pipeline in two minutes"),
            ("sqcodec models speech16k", "what the model that ships can and cannot do"),
        ]
    return [
        (f"sqcodec encode IN.wav OUT.sqc --model {model}", "with this model: a toy that heard a minute of speech"),
        ("sqcodec prep vctk --data DIR", "the paper's model; --download fetches VCTK into DIR first"),
        ("sqcodec train recipes/vctk", ""),
    ]


def _shown(path: Path) -> Path:
    """The path, from the working folder if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _run(*words: str | Path) -> None:
    """Print and run a command of sqcodec. Raises SystemExit: it failed, and has said why."""
    texts = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    click.echo(f"$ sqcodec {shlex.join(texts)}")
    done = subprocess.run([sys.executable, "-m", "sqcodec.cli.main", *texts], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def _say(text: str) -> None:
    click.echo(f"\n== {text}")


if __name__ == "__main__":
    quickstart(prog_name="python -m sqcodec.quickstart")
