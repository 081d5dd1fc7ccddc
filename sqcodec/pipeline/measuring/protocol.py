"""The table that others publish on a set of LibriSpeech: what each codec costs, and how it scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sqcodec.corpus.librispeech import RECORDINGS
from sqcodec.pipeline.coding.codec import open_codec
from sqcodec.pipeline.measuring.codecs import ModelUnderTest, OriginalUnderTest
from sqcodec.pipeline.measuring.complexity import SIDES, Complexity, complexity_of
from sqcodec.pipeline.measuring.results import SystemResult
from sqcodec.pipeline.measuring.scoring import COLUMNS, Settings, columns_of
from sqcodec.report.table import Column, Figure, latex, markdown, number
from sqcodec.storage import write_json, write_text

Protocol = Literal["test-clean"]

_COSTS = (
    Column("kilobits", "Rate", "kb/s", None, 2),
    Column("parameters", "Parameters", "M", None, 1),
    Column("sending", "Sending", "GMAC/s", None, 2),
    Column("receiving", "Receiving", "GMAC/s", None, 2),
)
_SCORES = (
    COLUMNS["pesq"],
    COLUMNS["mos"],
    COLUMNS["dnsmos_p808"],
    COLUMNS["dnsmos"]._replace(title="DNSMOS P.835"),
    COLUMNS["stoi"],
    COLUMNS["wer"]._replace(title="WER"),
    COLUMNS["speaker"]._replace(title="Similarity"),
)
_LATENCY = Column("latency", "Latency", "ms", "lower", 0)
METRICS = tuple(column.key for column in _SCORES)  # the others would take hours


def costs_of(models: Sequence[ModelUnderTest], summaries: Sequence[SystemResult]) -> dict[str, Complexity]:
    """What the model costs at each rate: at a true one all codebooks are searched, and the mean number of codebooks
    decides on the refinement."""
    costs, codec = {}, open_codec(models[0].path, "cpu")  # one model, at several rates
    rates = {summary.name: summary.rates for summary in summaries}
    for model in models:
        rated, stages = rates[model.name], float(model.codebooks)
        if model.goal is not None and rated is not None:
            stages = min(stages, rated.codes / (rated.seconds * codec.frame_rate))
        costs[model.name] = complexity_of(codec, codebooks=model.codebooks, stages=stages, vocoder=model.vocoder)
    return costs


def write(
    out: Path,
    protocol: Protocol,
    summaries: Sequence[SystemResult],
    costs: Mapping[str, Complexity],
    *,
    about: Mapping[str, Any],
    settings: Settings,
    failures: Sequence[str],
) -> str:
    """Write protocol.md, protocol.json and protocol.tex into `out`; returns the table in Markdown.

    costs: of each model; other systems have none. failures: recordings that a system could not code.
    """
    figures = {summary.name: _figures(summary, costs.get(summary.name)) for summary in summaries}
    columns = [
        column for column in _columns(settings) if any(_mean(own, column) is not None for own in figures.values())
    ]
    rows = [["", *(column.heading for column in columns)]]
    for name, own in figures.items():
        rows.append([name, *(number(_mean(own, column), column.decimals) for column in columns)])
    notes = [*_notes(settings, columns), *_failed(figures, columns), *failures]
    heading = f"{about['files']} of the {RECORDINGS[protocol]} recordings of LibriSpeech {protocol}; model"
    heading += f" {about['model']} ({about['fingerprint']}), vocoder {about['vocoder']}; sqcodec {about['sqcodec']}."
    tree = {
        **about,
        "protocol": protocol,
        "recordings": RECORDINGS[protocol],
        "columns": {column.key: column.heading for column in columns},
        "systems": {name: {key: cell._asdict() for key, cell in own.items()} for name, own in figures.items()},
        "notes": notes,
    }
    table = markdown(rows)
    lines = ["# LibriSpeech " + protocol, "", heading, "", table, "", *(f"- {note}" for note in notes)]
    write_text(out / "protocol.md", "\n".join(lines) + "\n")
    write_text(out / "protocol.tex", f"% {heading}\n% \\usepackage{{booktabs}}\n{latex(rows)}\n")
    write_json(out / "protocol.json", tree)
    return table


def _mean(figures: Mapping[str, Figure], column: Column) -> float | None:
    return figures[column.key].mean if column.key in figures else None


def _columns(settings: Settings) -> list[Column]:
    shown = columns_of(settings)
    scores = [column._replace(title=shown["mos"].title) if column.key == "mos" else column for column in _SCORES]
    return [*_COSTS, *scores, _LATENCY]


def _figures(summary: SystemResult, costs: Complexity | None) -> dict[str, Figure]:
    """By column, those that the system has."""
    own = {key: cell for key, cell in summary.cells.items() if key in METRICS}
    if summary.rates is not None:
        own["kilobits"] = _certain(summary.rates.on_disk / 1e3)
    elif summary.family != OriginalUnderTest.family and (rate := summary.cells.get("bit_rate")) and rate.mean:
        own["kilobits"] = _certain(rate.mean / 1e3)
    if costs is not None:
        own["parameters"] = _certain(costs.parameters / 1e6)
        own |= {side: _certain(costs.macs(side) / 1e9) for side in SIDES}
        if costs.latency is not None:
            own["latency"] = _certain(costs.latency)
    return own


def _certain(value: float) -> Figure:
    """A figure of a system as a whole, not of files."""
    return Figure(value, value, value, 0, 0)


def _failed(figures: Mapping[str, Mapping[str, Figure]], columns: Sequence[Column]) -> list[str]:
    return [
        f"{column.title} of {name}: {own[column.key].failed} recordings have none and are not in the mean."
        for name, own in figures.items()
        for column in columns
        if column.key in own and own[column.key].failed
    ]


def _notes(settings: Settings, columns: Sequence[Column]) -> list[str]:
    """What the figures are: of every column that is shown and needs a word."""
    delays = "removed" if settings.align else "not removed"
    texts = {
        "kilobits": "Rate: of a model all bytes of its .sqc files; of Codec 2 its frames, of Opus its packets without"
        " their container.",
        "sending": "GMAC/s: multiplications with additions per second of sound, as the complexity card counts them; the"
        " search for true rates and the context model of .sqc files are not in them.",
        "mos": f"{columns_of(settings)['mos'].title}: by {settings.mos}.",
        "wer": f"WER: errors over words of all transcripts together, lower case, no punctuation, by {settings.asr}.",
        "speaker": f"Similarity: cosine of the embeddings of recording and output, by {settings.sv}.",
        "latency": "Latency: look-ahead and a packet of the live mode, or a code; .sqc files take whole recordings.",
    }
    shown = [texts[column.key] for column in columns if column.key in texts]
    return [f"Means over recordings, at 16 kHz, delays {delays}; protocol.json has 95 % intervals.", *shown]
