"""`sqcodec models`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sqcodec.cli.options import json_option
from sqcodec.cli.wording import echo, model_text

if TYPE_CHECKING:
    from sqcodec.pipeline.finding.shipped import ModelSummary


@click.command()
@click.argument("name", required=False)
@click.option(
    "--complexity",
    is_flag=True,
    help="Print what NAME costs: operations, parameters, look-ahead, memory, start [default of NAME: the starred one].",
)
@json_option
def models(name: str | None, complexity: bool, as_json: bool) -> None:
    """List the models that ship and those trained here, or print the model card of NAME: data, licence, limits.

    \b
    Example: sqcodec models
             sqcodec models speech16k
             sqcodec models speech16k --complexity
    A star marks the model that encode uses without --model.
    """
    if complexity:
        _echo_complexity(name, as_json)
        return
    from sqcodec.pipeline.finding import shipped

    if name and not as_json:
        echo(shipped.named_card(name).rstrip())
        return
    listed = [shipped.named_model(name)] if name else shipped.usable_models()
    chosen = shipped.default_model()
    used = [chosen is not None and model.path == chosen.path for model in listed]
    if as_json:
        rows = zip(listed, used, strict=True)
        echo(json.dumps([asdict(model) | {"path": str(model.path), "used": star} for model, star in rows]))
        return
    for model, star in zip(listed, used, strict=True):
        echo(f"{'*' if star else ' '} {_line(model)}")
    if chosen:
        echo(f"encode uses {model_text(chosen.path, chosen.reason)}")


def _echo_complexity(name: str | None, as_json: bool) -> None:
    from sqcodec.pipeline.measuring import complexity_card

    card = complexity_card.complexity_card(name)
    echo(json.dumps(complexity_card.as_tree(card), indent=1) if as_json else complexity_card.as_text(card))


def _line(model: "ModelSummary") -> str:
    lowest, highest = model.bit_rates[0], model.bit_rates[-1]
    least = f"{lowest} to " if lowest < highest else "up to " if model.true_rates else ""
    ahead = "whole recording" if model.lookahead is None else f"{model.lookahead:.0f} ms"
    return (
        f"{model.name}: {least}{highest} bit/s ({model.default:.0f} by default), look-ahead {ahead},"
        f" {model.features}, {model.size / 1e6:.1f} MB, fingerprint {model.fingerprint}"
    )
