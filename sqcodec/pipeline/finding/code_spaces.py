"""The code space of a model, read from its file without the weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sqcodec.bitstream import context_model
from sqcodec.bitstream.code_space import CodeSpace, file_identity
from sqcodec.bitstream.entropy_tables import from_arrays
from sqcodec.errors import ModelError
from sqcodec.model.model_header import ModelHeader, read_context, read_header, read_tables


def names_of(header: ModelHeader) -> tuple[str, ...]:
    """The identities of this model in codes files: `.npy` has the fingerprint, `.sqc` adds speakers and the coder."""
    digests = (None, *filter(None, (header.tables, header.context)))
    return (header.fingerprint, *(file_identity(header.fingerprint, header.speakers, digest) for digest in digests))


def read_space(path: Path) -> CodeSpace:
    """The code space of a model file. Raises ModelError: it is missing, no model, or has damaged tables."""
    return space_of(read_header(path), read_tables(path), read_context(path))


def space_of(
    header: ModelHeader, arrays: Mapping[str, NDArray[Any]], context_arrays: Mapping[str, NDArray[Any]]
) -> CodeSpace:
    """The code space of a header, with the arrays of entropy tables and context model. Raises ModelError: damaged."""
    tables = from_arrays(arrays, where=str(header.path)) if arrays else None
    if (tables and tables.digest) != header.tables or (tables and tables.codewords != header.codewords):
        raise ModelError(f"{header.path}: its entropy tables are damaged; fetch the model again")
    context = context_model.from_arrays(context_arrays, where=str(header.path)) if context_arrays else None
    if (context and context.digest) != header.context or (context and context.codewords != header.codewords):
        raise ModelError(f"{header.path}: its context model is damaged; fetch the model again")
    return CodeSpace(
        fingerprint=header.fingerprint,
        features=header.features,
        codewords=header.codewords,
        speakers=header.speakers,
        tables=tables,
        context=context,
    )
