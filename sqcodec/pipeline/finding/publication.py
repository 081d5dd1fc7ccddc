"""A model as a folder in the manner of the Hugging Face Hub: config.json, model.safetensors, vocoder/, README.md.

`sqcodec.load` opens such a folder from wherever it lies; it needs no network and nothing beside it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqcodec.errors import ModelError
from sqcodec.file_names import MODEL
from sqcodec.model.model_header import ModelHeader, read_header, write_whole
from sqcodec.pipeline.finding.model_card import CARD, card_of, metadata_text, with_metadata
from sqcodec.pipeline.finding.vocoders import vocoder_file
from sqcodec.storage import write_bytes, write_json, write_text
from sqcodec.vocoder import vocoder_header

CONFIG = "config.json"
_DEFAULTS = {"library_name": "sqcodec", "pipeline_tag": "audio-to-audio", "tags": ["audio-codec", "speech"]}


def publish(
    model: Path,
    vocoder: Path | None,
    folder: Path,
    *,
    licence: str | None,
    language: str | None,
    datasets: Sequence[str],
) -> None:
    """Write the folder of a model file and the file of its vocoder (None: Griffin-Lim, which has no weights).

    A model card beside the model is copied, and its metadata kept unless they are given here; without one, a short card
    is written. `folder` may be that of the model: its files stay, and what is missing is added. Raises ModelError: it
    cannot be written, or holds another model's vocoder, where this one has none.
    """
    header, left = read_header(model), vocoder_file(folder)
    if vocoder is None and left.is_file() and not (folder.exists() and folder.samefile(model.parent)):
        raise ModelError(
            f"{left}: of another model, and this one has no vocoder; remove it, or write to another folder"
        )
    try:
        (vocoder_file(folder).parent if vocoder else folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written: {error.strerror}") from error
    write_whole(model, folder / MODEL)
    if vocoder is not None and not (left.exists() and left.samefile(vocoder)):
        write_bytes(left, vocoder.read_bytes(), error=ModelError)
    write_json(folder / CONFIG, _config(read_header(folder / MODEL), vocoder), error=ModelError)
    given = {"license": licence, "language": language, "datasets": [*datasets] or None}
    metadata = with_metadata(metadata_text(model), {name: value for name, value in given.items() if value})
    known = set(re.findall(r"^(\w+):", metadata, re.M))
    metadata = with_metadata(metadata, {name: value for name, value in _DEFAULTS.items() if name not in known})
    card = card_of(model) or _card(header, folder.name)
    write_text(folder / CARD, f"---\n{metadata}---\n{card}", error=ModelError)


def _config(header: ModelHeader, vocoder: Path | None) -> dict[str, Any]:
    """What a program wants to know before it loads the weights. sqcodec itself reads the header of the weights."""
    return {
        "model_type": "sqcodec",
        "format": header.format,
        "name": header.name,
        "fingerprint": header.fingerprint,
        "sampling_rate": header.features.sample_rate,
        "frame_rate": header.features.code_rate,
        "samples_per_frame": header.features.samples_per_code,
        "num_codebooks": len(header.codewords),
        "codebook_sizes": [*header.codewords],
        "bit_rates": [*header.bit_rates],
        "default_bit_rate": header.default_bit_rate,
        "speakers": len(header.speakers),
        "step": header.step,
        "vocoder": vocoder_header.read_header(vocoder).kind if vocoder else "griffin-lim",
        "recipe": dict(header.recipe),
    }


def _card(header: ModelHeader, name: str) -> str:
    rates = " to ".join(map(str, dict.fromkeys([*header.bit_rates[:1], *header.bit_rates[-1:]]))) or "0"
    speakers = f"{len(header.speakers)} speakers, among whom it converts" if header.speakers else "any speaker"
    return f"""# {name}

A speech codec made with sqcodec (recipe {header.name}, {header.step} steps): {header.features.sample_rate} Hz,
{rates} bit/s nominal, {speakers}.

```python
import sqcodec

codec = sqcodec.load("{name}")
codes = codec.encode("in.wav")
sound = codec.decode(codes)
```
"""
