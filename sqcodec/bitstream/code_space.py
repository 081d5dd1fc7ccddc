"""What gives the bytes of a `.sqc` file their meaning: a model's codebooks, rates, speakers and entropy tables."""

import hashlib
from dataclasses import dataclass

from sqcodec.bitstream.entropy_tables import Tables
from sqcodec.spectrogram import FeatureConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeSpace:
    """The codes of one model. fingerprint: of the codes, 16 digits; codewords: V of each book, in their order;
    features: what is coded, which tells how many codes a recording has."""

    fingerprint: str
    features: FeatureConfig
    codewords: tuple[int, ...]
    speakers: tuple[str, ...]
    tables: Tables | None

    @property
    def identities(self) -> tuple[str, ...]:
        """What a file written without tables, and one written with them, names as its model."""
        plain = file_identity(self.fingerprint, self.speakers, None)
        return (plain, file_identity(self.fingerprint, self.speakers, self.tables.digest)) if self.tables else (plain,)


def file_identity(fingerprint: str, speakers: tuple[str, ...], tables_digest: str | None) -> str:
    """12 hexadecimal digits (the 6 bytes in a `.sqc` header) over all that its bytes refer to."""
    text = "\n".join([fingerprint, tables_digest or "", *speakers])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
