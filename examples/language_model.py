"""A language model over the codes of a corpus: Parquet in, rows of new ids out, which `sqcodec decode` makes sound.

    sqcodec export recordings/ tokens/ --to parquet --layout flat --offset 2 --bitrate 800
    python examples/language_model.py tokens/ made/
    sqcodec decode made/rows.jsonl made/0.wav --row 0

A small causal Transformer over flat ids. The ids 0 and 1 (the offset is 2) begin and end a recording. Each codebook has
ids of its own and a frame has one of each, so it is known which codebook is next; only its ids are drawn.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset
import torch
from torch import Tensor, nn

BEGIN, END, OFFSET = 0, 1, 2
CONTEXT = 256  # ids that the model sees


class LanguageModel(nn.Module):
    """Logits of the next id [B, L, V] from ids [B, L], L at most CONTEXT."""

    def __init__(self, vocabulary: int, dim: int = 128, layers: int = 2) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, dim), nn.Embedding(CONTEXT, dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 4 * dim, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(dim, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        hidden = self.words(ids) + self.places(torch.arange(length))
        return self.out(self.layers(hidden, mask=mask, is_causal=True))


def read_corpus(folder: Path) -> tuple[dict[str, Any], Tensor]:
    """meta.json, and the ids of all recordings in one line, each between BEGIN and END."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    if (meta["layout"], meta["offset"]) != ("flat", OFFSET):
        raise SystemExit(f"{folder}: export it with --layout flat --offset {OFFSET}")
    table = pyarrow.dataset.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table(columns=["audio_codes"])
    rows = table["audio_codes"].to_pylist()
    return meta, torch.tensor([number for row in rows for number in (BEGIN, *row, END)])


def train(model: LanguageModel, ids: Tensor, steps: int, batch: int = 8) -> None:
    """Predict each id of random crops from those before it."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    length, began = min(CONTEXT, len(ids) - 1), time.monotonic()
    for step in range(1, steps + 1):
        starts = torch.randint(len(ids) - length, (batch, 1))
        crops = ids[starts + torch.arange(length + 1)]
        logits = model(crops[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), crops[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step in (1, steps):
            print(f"step {step}: {loss:.3f} nats per id, {time.monotonic() - began:.0f} s", flush=True)


@torch.inference_mode()
def generate(model: LanguageModel, codewords: list[int], frames: int, temperature: float = 0.9) -> list[int]:
    """Ids of so many frames, or fewer if the model ends the recording."""
    first = [OFFSET + sum(codewords[:book]) for book in range(len(codewords) + 1)]
    ids = [BEGIN]
    while len(ids) <= frames * len(codewords):
        book = (len(ids) - 1) % len(codewords)
        logits = model(torch.tensor([ids[-CONTEXT:]]))[0, -1] / temperature
        allowed = torch.full_like(logits, -torch.inf)
        allowed[first[book] : first[book + 1]] = 0
        if book == 0 and len(ids) > 1:
            allowed[END] = 0
        drawn = int(torch.multinomial((logits + allowed).softmax(0), 1))
        if drawn == END:
            break
        ids.append(drawn)
    return ids[1:]


def main() -> None:
    """Train on an export, and write rows of new ids with the meta.json that says what they mean."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tokens", type=Path, help="what `sqcodec export --to parquet --layout flat --offset 2` wrote")
    parser.add_argument("out", type=Path, help="folder for rows.jsonl and meta.json")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--number", type=int, default=2, help="rows to generate")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    meta, ids = read_corpus(options.tokens)
    model = LanguageModel(meta["vocabulary"])
    train(model, ids, options.steps)
    model.eval()
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(options.tokens / "meta.json", options.out)
    frames = round(options.seconds * meta["frame_rate"])
    with (options.out / "rows.jsonl").open("w", encoding="utf-8") as file:
        for number in range(options.number):
            row = {"name": str(number), "audio_codes": generate(model, meta["codewords"], frames)}
            file.write(json.dumps(row) + "\n")
    print(f"{options.out}/rows.jsonl: {options.number} rows")


if __name__ == "__main__":
    main()
