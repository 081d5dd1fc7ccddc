"""`sqcodec inspect`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqcodec.cli.options import PATH, PATH_OR_PIPE, json_option
from sqcodec.cli.wording import with_options

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.inspection import Inspection

_BARS = " ▁▂▃▄▅▆▇█"


@click.command()
@click.argument("codes", type=PATH_OR_PIPE)
@click.option("--model", metavar="PATH|NAME", help="The model of the codes [default: found by its fingerprint].")
@json_option
@click.option("--plot", type=PATH, metavar="PNG", help="Draw the codes over time.")
def inspect(codes: Path, model: str | None, as_json: bool, plot: Path | None) -> None:
    """Show what a codes file (.sqc or .npy) holds: length, model, speaker, bit rates, how its codes are used.

    \b
    Example: sqcodec inspect out.sqc
    """
    from sqcodec.pipeline.coding import inspection

    found = inspection.inspect_file(codes, model=model, plot=plot)
    click.echo(with_options(json.dumps(found.as_json()) if as_json else "\n".join(_lines(found))))


def _lines(found: "Inspection") -> list[str]:
    parts = [f"{found.size} bytes"]
    parts += [f"header {found.header_size}"] if found.header_size is not None else []
    parts += [f"{found.blocks} block{'s' * (found.blocks != 1)}"] if found.blocks else []
    parts += ["coded with tables" if found.tables else "fixed width"] if found.header_size is not None else []
    rates = [f"{found.nominal_bit_rate:.0f} nominal"] if found.nominal_bit_rate else []
    rates += [f"{found.entropy_bit_rate:.0f} entropy of its codes"] if found.entropy_bit_rate is not None else []
    lines = [
        f"{found.file}: {found.format}, {', '.join(parts)}",
        f"  duration   {found.seconds:.2f} s, {found.samples} samples at {found.sample_rate} Hz",
        f"  model      {found.model or 'not found'}, fingerprint {found.fingerprint or 'unknown'}",
        f"  speaker    {found.speaker or 'unknown'}",
        f"  level      {'silence' if found.level is None else f'{found.level:.1f} dB'}",
        f"  bit rate   {', '.join([*rates, f'{found.bit_rate:.0f} on disk'])} (bit/s)",
        f"  codes      {found.codes}",
    ]
    for number, book in enumerate(found.books):
        of = f" of {book.codewords}" if book.codewords else ""
        lines.append(f"  book {number}     {book.in_use}{of} codewords in use, perplexity {book.perplexity:.1f}")
        lines.append(f"             |{_histogram(book.histogram)}|")
    return [*lines, *([f"  note       {found.note}"] if found.note else [])]


def _histogram(counts: tuple[int, ...]) -> str:
    """One character a bin; an empty one is blank, any other has a bar."""
    most = max(counts)
    return "".join(_BARS[-(-8 * count // most)] for count in counts)
