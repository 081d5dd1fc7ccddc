#!/usr/bin/env python3
"""Print as JSON the phones that espeak-ng speaks: espeak-phones.py VOICE SPEED PITCH TEXT

{"rate": Hz, "sha256": of the 16-bit samples, "samples": their number, "phones": [[first sample, name], ...]}; for
make-speech.py. One sentence a process: the library's state after a sentence changes the sound of the next.
"""

import ctypes
import ctypes.util
import hashlib
import json
import sys

RETRIEVAL_SYNCHRONOUS, PHONEME_EVENTS = 2, 1  # espeak_AUDIO_OUTPUT, options of espeak_Initialize
RATE, PITCH = 1, 3  # espeak_PARAMETER
CHARS_UTF8, END_PAUSE = 1, 0x1000  # flags of espeak_Synth: what the command line's own call has
LIST_END, PHONEME = 0, 7  # espeak_EVENT_TYPE


class Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", Identity),
    )


class Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit("Usage: espeak-phones.py VOICE SPEED PITCH TEXT")
    voice, speed, pitch, text = sys.argv[1:]
    library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
    rate = library.espeak_Initialize(RETRIEVAL_SYNCHRONOUS, 0, None, PHONEME_EVENTS)
    sound, phones = bytearray(), []

    def take(samples, count, events) -> int:
        if samples and count:
            sound.extend(ctypes.string_at(samples, 2 * count))
        place = 0
        while events[place].type != LIST_END:
            if events[place].type == PHONEME:
                phones.append((events[place].sample, events[place].id.string.decode()))
            place += 1
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event))(take)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()):
        chosen = Voice(languages=voice.encode())
        if library.espeak_SetVoiceByProperties(ctypes.byref(chosen)):
            sys.exit(f"Error: espeak-ng has no voice {voice}")
    library.espeak_SetParameter(RATE, int(speed), 0)
    library.espeak_SetParameter(PITCH, int(pitch), 0)
    content = text.encode()
    size = ctypes.c_size_t(len(content) + 1)
    library.espeak_Synth(content, size, 0, 1, 0, CHARS_UTF8 | END_PAUSE, None, None)
    library.espeak_Synchronize()
    digest = hashlib.sha256(sound).hexdigest()
    print(json.dumps({"rate": rate, "sha256": digest, "samples": len(sound) // 2, "phones": phones}))


if __name__ == "__main__":
    main()
