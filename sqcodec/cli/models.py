"""`sqcodec models`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sqcodec.cli.options import json_option
from sqcodec.cli.wording import echo

if TYPE_CHECKING:
    from sqcodec.pipeline.finding.shipped import ShippedModel


@click.command()
@click.argument("name", required=False)
@json_option
def models(name: str | None, as_json: bool) -> None:
    """List the models that ship with sqcodec, or print the model card of NAME: data, licence, figures, limits.

    \b
    Example: sqcodec models
             sqcodec models speech16k
    """
    from sqcodec.pipeline.finding import shipped

    listed = [shipped.shipped_model(name)] if name else list(shipped.shipped_models())
    if as_json:
        echo(json.dumps([asdict(model) | {"path": str(model.path)} for model in listed]))
    elif name:
        echo(listed[0].card.rstrip())
    else:
        for model in listed:
            echo(_line(model))


def _line(model: "ShippedModel") -> str:
    rates = f"{model.bit_rates[0]} to {model.bit_rates[-1]} bit/s" if len(model.bit_rates) > 1 else ""
    ahead = "whole recording" if model.lookahead is None else f"{model.lookahead:.0f} ms"
    return (
        f"{model.name}: {rates or model.bit_rates[0]} ({model.default:.0f} by default), look-ahead {ahead},"
        f" {model.features}, {model.size / 1e6:.1f} MB, fingerprint {model.fingerprint}"
    )
