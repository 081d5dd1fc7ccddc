"""What a file is that holds no codes, for messages."""

_KINDS = {
    b"RIFF": "a WAV file", b"RF64": "a WAV file", b"RIFX": "a WAV file", b"riff": "a W64 file", b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file", b"ID3": "an MP3 file", b"FORM": "an AIFF file", b".snd": "an AU file",
    b"caff": "a CAF file", b"NIST_1A": "a NIST file", b"PK\x03\x04": "a ZIP archive", b"\x89PNG": "a PNG picture",
    b"SQC": "a .sqc file", b"\x93NUMPY": "a NumPy file",
}  # fmt: skip
LONGEST_MARK = max(map(len, _KINDS))


def marked(content: bytes) -> str:
    """`a WAV file`: what begins so; "": nothing that is known."""
    return next((kind for beginning, kind in _KINDS.items() if content.startswith(beginning)), "")


def kind_of(content: bytes) -> str:
    """`a WAV file`, or how an unknown one begins."""
    if not content:
        return "an empty file"
    if kind := marked(content):
        return kind
    first = content[:8]
    if first.isascii() and first.decode().isprintable():
        return f"a file that begins with {first.decode()!r}"
    return f"a file that begins with the bytes {first.hex(' ')}"
