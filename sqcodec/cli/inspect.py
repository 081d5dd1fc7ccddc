"""`sqcodec inspect`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqcodec.cli.options import PATH, PATH_OR_PIPE, codes_model_option, json_option
from sqcodec.cli.wording import echo, name_text, with_options

if TYPE_CHECKING:
    from sqcodec.pipeline.coding.inspection import Inspection

_BARS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 64
_CODERS = {"plain": "fixed width", "tables": "coded with tables", "context": "coded with the context model"}


@click.command()
@click.argument("codes", type=PATH_OR_PIPE)
@codes_model_option
@json_option
@click.option("--plot", type=PATH, metavar="PNG", help="Draw the codes over time to this file.")
def inspect(codes: Path, model: str | None, as_json: bool, plot: Path | None) -> None:
    """Show the contents of a codes file (.sqc or .npy): length, model, speaker, bit rates, use of its codes.

    \b
    Example: sqcodec inspect out.sqc
    """
    from sqcodec.pipeline.coding.inspection import inspect_file

    inspection = inspect_file(codes, model=model, plot=plot)
    echo(with_options(json.dumps(inspection.as_json()) if as_json else "\n".join(_lines(inspection))))


def _lines(inspection: "Inspection") -> list[str]:
    parts = [f"{inspection.size} bytes"]
    parts += [f"header {inspection.header_size}"] if inspection.header_size is not None else []
    parts += [f"{inspection.blocks} block{'s' * (inspection.blocks != 1)}"] if inspection.blocks else []
    parts += [_CODERS[inspection.coder]] if inspection.coder else []
    rates = [f"{inspection.nominal_bit_rate:.0f} nominal"] if inspection.nominal_bit_rate else []
    rates += (
        [f"{inspection.entropy_bit_rate:.0f} entropy of its codes"] if inspection.entropy_bit_rate is not None else []
    )
    lines = [
        f"{inspection.file}: {inspection.format}, {', '.join(parts)}",
        f"  duration   {inspection.seconds:.2f} s, {inspection.samples} samples at {inspection.sample_rate} Hz",
        f"  model      {inspection.model or 'not found'}, fingerprint {inspection.fingerprint or 'unknown'}",
        f"  speaker    {name_text(inspection.speaker or 'unknown')}",
        *(["  level      silence"] if inspection.silent else []),
        *([f"  level      {inspection.level:.1f} dB"] if inspection.level is not None else []),
        f"  bit rate   {', '.join([*rates, f'{inspection.bit_rate:.0f} on disk'])} (bit/s)",
        f"  codes      {inspection.codes}",
    ]
    if inspection.bits_over_time:
        highest = max(inspection.bits_over_time)
        shown = _resized(inspection.bits_over_time, _COLUMNS)
        lines.append(f"  over time  |{_histogram(shown)}| up to {highest:.0f} bit/s in a second")
    for number, codebook in enumerate(inspection.books):
        size = f" of {codebook.codewords}" if codebook.codewords else ""
        lines.append(
            f"  codebook {number} {codebook.in_use}{size} codewords in use, perplexity {codebook.perplexity:.1f}"
        )
        lines.append(f"             |{_histogram(codebook.histogram)}|")
    return [*lines, *([f"  note       {inspection.note}"] if inspection.note else [])]


def _resized(values: tuple[float, ...], most: int) -> tuple[float, ...]:
    """The means of equal parts of the values, at most so many."""
    step = -(-len(values) // most)
    parts = (values[first : first + step] for first in range(0, len(values), step))
    return tuple(sum(part) / len(part) for part in parts)


def _histogram(counts: tuple[float, ...]) -> str:
    """One character per bin: a blank for an empty bin, else a bar."""
    highest = max(counts) or 1  # a codebook that no frame uses
    return "".join(_BARS[int(-(-8 * count // highest))] for count in counts)
