"""What gives the bytes of a `.sqc` file their meaning: codebooks, rates, speakers, entropy tables, context model."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.entropy_tables import Tables
from sqcodec.spectrogram import FeatureConfig

Coder = Literal["plain", "tables", "context"]  # what the codes of a file are coded with


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeSpace:
    """The codes of one model. fingerprint: of the codes, 16 digits; codewords: V of each book, in their order;
    features: what is coded, which tells how many codes a recording has."""

    fingerprint: str
    features: FeatureConfig
    codewords: tuple[int, ...]
    speakers: tuple[str, ...]
    tables: Tables | None
    context: ContextModel | None = None

    @property
    def by_coder(self) -> dict[Coder, str]:
        """What a file written with each coder that the model has names as its model."""
        digests: dict[Coder, str | None] = {"plain": None}
        digests |= {"tables": self.tables.digest} if self.tables else {}
        digests |= {"context": self.context.digest} if self.context else {}
        return {coder: file_identity(self.fingerprint, self.speakers, digest) for coder, digest in digests.items()}

    @property
    def identities(self) -> tuple[str, ...]:
        """All that files may name as this model."""
        return tuple(self.by_coder.values())


def file_identity(fingerprint: str, speakers: tuple[str, ...], digest: str | None) -> str:
    """12 hexadecimal digits (the 6 bytes in a `.sqc` header) over all that its bytes refer to."""
    text = "\n".join([fingerprint, digest or "", *speakers])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
