"""The context model in integers: the frequencies of a frame's codes, given all frames before it.

A gated recurrent network runs over the frames of a block; a layer a stage sees its state and the sum of the codewords
of the stages before. docs/bitstream.md has every operation. Weights and activations have 8 bits, so a matrix product's
sums stay below 2^24 (`LIMIT`^2 times the inputs), where float32 holds every integer: products are exact whatever the
order, the instruction set and the number of threads. All else is int32 and int64, but for a division
that float64 has exactly.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sqcodec.bitstream.entropy_tables import TOTAL
from sqcodec.errors import ModelError

ACTIVATION_BITS = 7  # an activation a stands for a / 2^7
CODEWORD_BITS = 14  # so does a component of a codeword for c / 2^14
SUM_BITS = 12  # what a neuron sums, after its matrix products
STATE_BITS = 15  # the state, and what the tables of tanh and sigmoid give
INDEX_BITS = 8  # arguments of tanh and of the power of two
LIMIT = 127
SHIFTS = range(SUM_BITS - ACTIVATION_BITS, 13)  # weights w stand for w / 2^shift
TABLE = 4096  # entries of each table
_MAX_INPUTS = (1 << 24) // LIMIT**2 - 1
_MATRICES = ("gru.input", "gru.state", "stage.state", "stage.sum", "output")
_MAX_SIZE = 65536

Integers = NDArray[np.integer[Any]]
_Entry = TypeVar("_Entry", np.int32, np.float32)


def tables() -> dict[str, NDArray[Any]]:
    """The two tables that a model file stores: tanh at -8 to 8, and powers of two down to 2^-16.

    A coder reads the stored ones: floating-point functions differ between machines in the last digit.
    """
    x = (np.arange(TABLE) - TABLE // 2) / (1 << INDEX_BITS)
    power = np.exp2(16 - np.arange(TABLE) / (1 << INDEX_BITS))
    return {"tanh": np.rint(np.tanh(x) * ((1 << STATE_BITS) - 1)).astype(np.int16),
            "power": np.rint(power).astype(np.int32)}  # fmt: skip


def rounded(values: Integers, bits: int) -> Integers:
    """floor(values / 2^bits + 1/2)."""
    return (values + _half(bits)) >> bits if bits else values


def activation(values: Integers, bits: int) -> NDArray[np.float32]:
    """Values of `bits` fractional bits as inputs of a matrix product: 8-bit integers, held by float32."""
    return np.minimum(np.maximum(rounded(values, bits - ACTIVATION_BITS), -LIMIT), LIMIT).astype(np.float32)


class ContextModel:
    """K stages of V codewords of D dimensions. arrays: as a model file stores them, by name (see `from_arrays`).

    N below is any number of blocks, or of frames: rows do not see each other.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays = dict(arrays)
        self.books, self.size, self.dim = arrays["codewords"].shape
        self.hidden = arrays["gru.state.weight"].shape[1]
        self.width = arrays["stage.sum.weight"].shape[1]
        self.codewords = (self.size,) * self.books
        self._grid = arrays["codewords"].astype(np.int32)
        self._tanh = arrays["tanh"].astype(np.int32)
        self._sigmoid = (self._tanh + (1 << STATE_BITS)) >> 1  # (1 + tanh(x / 2)) / 2 by the place of x / 2
        self._inner = activation(self._tanh, STATE_BITS)
        self._power = np.append(arrays["power"], 0).astype(np.float64)
        bits = dict.fromkeys(_MATRICES, SUM_BITS) | {"output": INDEX_BITS}
        self._shift = {name: int(arrays[f"{name}.shift"][0]) + ACTIVATION_BITS - bits[name] for name in _MATRICES}
        biases = {name: arrays.get(f"{name}.bias", np.zeros(1, np.int32)) for name in _MATRICES}
        self._bias = {name: bias + _half(self._shift[name]) for name, bias in biases.items()}
        turned = {name: np.swapaxes(arrays[f"{name}.weight"], -1, -2) for name in _MATRICES}
        self._weight = {name: np.ascontiguousarray(weight, np.float32) for name, weight in turned.items()}

    def begin(self, rows: int) -> NDArray[np.int32]:
        """The state [N, hidden] before the first frame of a block."""
        return np.zeros((rows, self.hidden), np.int32)

    def add(self, sums: NDArray[np.int32], stage: int, codes: Integers) -> NDArray[np.int32]:
        """The sums [N, D] with the codewords [N] of `stage` added."""
        added: NDArray[np.int32] = sums + self._grid[stage][codes]
        return added

    def advance(self, state: NDArray[np.int32], sums: NDArray[np.int32], stages: Integers) -> NDArray[np.int32]:
        """The state after a frame: the sum [N, D] of its codewords, and how many stages [N] it had."""
        return self.step(state, self.drive(sums, stages))

    def drive(self, sums: NDArray[np.int32], stages: Integers) -> NDArray[np.int32]:
        """What frames give to the gates [N, 3 hidden]."""
        unary = (stages[:, None] > np.arange(self.books)) * np.float32(LIMIT)
        inputs = np.concatenate([activation(sums, CODEWORD_BITS), unary], axis=1, dtype=np.float32)
        return self._neurons("gru.input", inputs)

    def step(self, state: NDArray[np.int32], drive: NDArray[np.int32]) -> NDArray[np.int32]:
        """The state after frames that gave `drive`: reset gate, update gate and candidate, as in torch.nn.GRU."""
        hidden = self.hidden
        recurrent = self._neurons("gru.state", activation(state, STATE_BITS))
        gates = _entries_(self._sigmoid, drive[:, :-hidden] + recurrent[:, :-hidden], SUM_BITS + 1 - INDEX_BITS)
        gated = rounded(gates[:, :hidden] * recurrent[:, -hidden:].astype(np.int64), STATE_BITS)
        candidate = _entries_(self._tanh, drive[:, -hidden:] + gated, SUM_BITS - INDEX_BITS)
        kept = gates[:, hidden:] * (state - candidate)  # below 2^31: of 15 and of 16 bits
        return candidate + rounded(kept, STATE_BITS)

    def layers(self, state: NDArray[np.int32], stages: int) -> NDArray[np.int32]:
        """What the state gives to the layers of the first stages: [N, stages, width]."""
        given = self._neurons("stage.state", activation(state, STATE_BITS), slice(0, stages * self.width))
        return given.reshape(len(state), stages, self.width)

    def layer(self, seen: NDArray[np.float32], stage: int) -> NDArray[np.int32]:
        """That of one stage [N, width]; seen: the state's `activation` [N, hidden]."""
        return self._neurons("stage.state", seen, slice(stage * self.width, (stage + 1) * self.width))

    def frequencies(self, stage: int, layer: NDArray[np.int32], sums: NDArray[np.int32], *, ends: bool) -> Integers:
        """Frequencies [N, V], or [N, V + 1] with `ends`, of the codes of a stage and the frame's end; sums to `TOTAL`.

        layer: [N, width], of `layers`; sums: [N, D] of the codewords before this stage.
        """
        seen = _product(activation(sums, CODEWORD_BITS), self._weight["stage.sum"][stage])
        summed = self._scaled_("stage.sum", seen, self._bias["stage.sum"])
        summed += layer
        inner = _entries_(self._inner, summed, SUM_BITS - INDEX_BITS)
        columns = slice(0, self.size + ends)
        products = _product(inner, self._weight["output"][stage][:, columns])
        scores = self._scaled_("output", products, self._bias["output"][stage, columns])
        below = scores.max(axis=1, keepdims=True) - scores
        return _shared(self._power.take(below, mode="clip"))

    def _neurons(self, name: str, inputs: NDArray[np.float32], part: slice = slice(None)) -> NDArray[np.int32]:
        """What neurons sum, in units of 2^-SUM_BITS."""
        return self._scaled_(name, _product(inputs, self._weight[name][:, part]), self._bias[name][part])

    def _scaled_(self, name: str, sums: NDArray[np.int32], bias: NDArray[np.int32]) -> NDArray[np.int32]:
        """Products with their bias, rounded. Overwrites `sums`."""
        sums += bias
        sums >>= self._shift[name]
        return sums

    @property
    def digest(self) -> str:
        """32 hexadecimal digits over everything that the frequencies follow from."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:32]


def _product(inputs: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.int32]:
    """Exact: every partial sum is an integer below 2^24."""
    return (inputs @ weight).astype(np.int32)


def _half(bits: int) -> int:
    """What is added before a shift, so that it rounds."""
    return (1 << bits) >> 1


def _entries_(table: NDArray[_Entry], values: Integers, bits: int) -> NDArray[_Entry]:
    """The entries at values of `bits` more fractional bits than the table's places, 0 being in its middle.

    Overwrites `values`.
    """
    values += _half(bits) + (TABLE // 2 << bits)
    values >>= bits
    return table.take(values, mode="clip")


def _shared(weights: NDArray[np.float64]) -> Integers:
    """`TOTAL` shared out by whole weights [N, V]: at least 1 each, rounded down, the rest to the first largest weight.

    Floating-point division gives these integers too, in a seventh of the time: of a / b with a < 2^36 the next integer
    is 1 / b away at least, and rounding to 53 bits moves it by less than 2^-17 / b.
    """
    parts = weights * float(TOTAL - weights.shape[1])
    parts /= weights.sum(axis=1, keepdims=True)
    shares: Integers = parts.astype(np.int64)
    shares += 1
    rows = np.arange(len(shares))
    shares[rows, weights.argmax(axis=1)] += TOTAL - shares.sum(axis=1)
    return shares


def from_arrays(arrays: Mapping[str, NDArray[Any]], *, where: str) -> ContextModel:
    """The context model of a model file. Raises ModelError, naming `where`: not such arrays."""
    try:
        sound = _is_sound(arrays)
    except (KeyError, ValueError, TypeError, IndexError):
        sound = False
    if not sound:
        raise ModelError(f"{where}: its context model is damaged; fetch the model again")
    return ContextModel(arrays)


def _is_sound(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether types, shapes and values are those from which frequencies follow without overflow."""
    books, size, dim = arrays["codewords"].shape
    width, hidden = arrays["stage.sum.weight"].shape[1], arrays["gru.state.weight"].shape[1]
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "codewords": ("<i2", (books, size, dim)),
        "tanh": ("<i2", (TABLE,)),
        "power": ("<i4", (TABLE,)),
        "gru.input.weight": ("|i1", (3 * hidden, dim + books)),
        "gru.state.weight": ("|i1", (3 * hidden, hidden)),
        "stage.state.weight": ("|i1", (books * width, hidden)),
        "stage.sum.weight": ("|i1", (books, width, dim)),
        "output.weight": ("|i1", (books, size + 1, width)),
        "gru.input.bias": ("<i4", (3 * hidden,)),
        "gru.state.bias": ("<i4", (3 * hidden,)),
        "stage.state.bias": ("<i4", (books * width,)),
        "output.bias": ("<i4", (books, size + 1)),
        **{f"{name}.shift": ("|u1", (1,)) for name in _MATRICES},
    }
    same = arrays.keys() == expected.keys() and all(
        array.dtype.str == expected[name][0] and array.shape == expected[name][1] for name, array in arrays.items()
    )
    return bool(
        same
        and 1 <= books <= 64 and 1 <= size < _MAX_SIZE and max(dim + books, hidden, width) <= _MAX_INPUTS
        and all(int(arrays[f"{name}.shift"][0]) in SHIFTS for name in _MATRICES)
        and all(int(arrays[f"{name}.weight"].min()) >= -LIMIT for name in _MATRICES)
        and all(int(np.abs(arrays[name].astype(np.int64)).max()) < 1 << 28 for name in arrays if name.endswith(".bias"))
        and int(arrays["power"].min()) >= 0 and int(arrays["power"][0]) >= 1 and int(arrays["power"].max()) <= 1 << 16
    )  # fmt: skip
