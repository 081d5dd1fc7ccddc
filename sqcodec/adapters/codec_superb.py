"""Codec-SUPERB (voidful/Codec-SUPERB): `SoundCodec/codec/sqvae_codec.py` there is one line,
`from sqcodec.adapters.codec_superb import Codec`. The names `sqcodec_*` are another project's there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from SoundCodec.base_codec.general import BaseCodec, BatchExtractedUnit, ExtractedUnit

import sqcodec


class Codec(BaseCodec):
    """The model that ships, or the one of SQCODEC_MODEL, at its default bit rate."""

    def config(self) -> None:
        """Load the model; called by the base class."""
        self.setting = "sqvae_codec"
        self.model = sqcodec.load()
        self.sampling_rate = self.model.sample_rate

    def extract_unit(self, data: Mapping[str, Any]) -> ExtractedUnit:
        """Encode data["audio"]: `array` [N] at `sampling_rate` (Hz). unit: [K, T]; stuff_for_synth: the `Codes`."""
        return self._extracted(self.model.encode(data["audio"]))

    def decode_unit(self, stuff_for_synth: sqcodec.Codes) -> NDArray[np.float32]:
        """The sound [N] of the codes, at `sampling_rate`."""
        return self.model.decode(stuff_for_synth)

    def batch_extract_unit(self, data_list: Sequence[Mapping[str, Any]]) -> BatchExtractedUnit:
        """As `extract_unit`, of several recordings."""
        coded = self.model.encode([data["audio"] for data in data_list])
        return BatchExtractedUnit([self._extracted(codes).unit for codes in coded], coded, len(coded))

    def batch_decode_unit(self, batch_extracted_unit: BatchExtractedUnit) -> list[NDArray[np.float32]]:
        """As `decode_unit`, of several recordings."""
        sounds: list[NDArray[np.float32]] = self.model.decode(batch_extracted_unit.stuff_for_synth)
        return sounds

    def _extracted(self, codes: sqcodec.Codes) -> ExtractedUnit:
        import torch

        return ExtractedUnit(torch.from_numpy(codes.indices.astype(np.int64)), codes)
