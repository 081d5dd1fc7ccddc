"""Whether codes and speakers fit a model."""

import difflib

from sqcodec.bitstream import npy
from sqcodec.codes import LOUDEST, Codes
from sqcodec.errors import CodesError, ModelError
from sqcodec.model.model_header import NO_SPEAKER, ModelHeader
from sqcodec.pipeline.finding.models import model_name

_SHOWN = 200  # names in one message


def check_codes(codes: Codes, header: ModelHeader, where: str) -> None:
    """Raise, naming `where`: ModelError: another model wrote the codes; CodesError: they are no codes of this one."""
    available, codebooks = header.codewords, len(codes.indices)
    if codes.fingerprint not in (None, header.fingerprint):
        raise ModelError(
            f"{where}: written with the model {codes.fingerprint}, got {header.fingerprint}"
            f" ({model_name(header.path)}); name the model that wrote the codes"
        )
    if not 1 <= codebooks <= len(available):
        expected_rows = "1 (the model has one codebook)" if len(available) == 1 else f"1 to {len(available)}"
        raise CodesError(f"{where}: got {codebooks} rows of codes, expected {expected_rows}")
    if codes.samples < 1 or codes.sample_rate < 1:
        raise CodesError(f"{where}: got {codes.samples} samples at {codes.sample_rate} Hz, expected a recording's")
    if not codes.gain_fits:
        raise CodesError(f"{where}: got the gain {codes.gain}, expected 0 to {LOUDEST:g}")
    if not codes.stages_fit:
        raise CodesError(f"{where}: got stages that are not 1 to {codebooks} of each code, with 0 for codes beyond")
    if codes.indices.size and (highest := int(codes.indices.max())) >= available[0]:
        raise CodesError(
            f"{where}: got code {highest}, expected 0 to {available[0] - 1}; these are another model's codes"
        )
    npy.check_length(codes, header.features, where)


def speaker_for(codes: Codes, speaker: str | None, header: ModelHeader, where: str) -> str | None:
    """The speaker to decode with: `speaker`, else the one stored, else the model's only one; None if the model takes
    any speaker. Raises CodesError: no speaker is given, and the model has several."""
    name = speaker or codes.speaker
    if name is None and header.speakers:
        if len(header.speakers) == 1:
            return header.speakers[0]
        raise CodesError(f"{where}: no speaker is stored; choose one with `speaker`: {_some(header.speakers)}")
    return name


def index_of(speaker: str | None, header: ModelHeader) -> int:
    """The model's index of a speaker. Raises CodesError: the model has no such speaker."""
    if not header.speakers:
        if speaker is not None:
            raise CodesError(
                f"speaker {speaker!r}: the model {model_name(header.path)} takes any speaker and knows no names;"
                " leave the speaker out, or use a model that was trained with speakers"
            )
        return NO_SPEAKER
    assert speaker is not None
    if speaker in header.speakers:
        return header.speakers.index(speaker)
    near = difflib.get_close_matches(speaker, header.speakers, n=3)
    raise CodesError(
        f"speaker {speaker!r}: unknown to the model {model_name(header.path)}"
        + (f"; did you mean {' or '.join(near)}?" if near else ".")
        + f" It knows {len(header.speakers)}: {_some(header.speakers)}"
    )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
