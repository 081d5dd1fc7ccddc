from pathlib import Path

import pytest

from sqcodec.pipeline.finding.model_card import card_of, licence_of, metadata_of

SHIPPED = Path(__file__).parents[3] / "sqcodec" / "models" / "speech16k" / "model.safetensors"


@pytest.mark.parametrize(
    ("text", "licence", "card"),
    [
        ("---\nlicense: mit\ntags: [speech]\n---\n# A card\n", "mit", "# A card\n"),
        ("# A card\n", None, "# A card\n"),
        ("---\n- mit\n---\n# A card\n", None, "# A card\n"),
        ("---\ntags:\n- license: x\n license: y\nlicense: 'cc-by-4.0'\n---\n# A card\n", "cc-by-4.0", "# A card\n"),
        ("---\nlicense: mit\n", None, "---\nlicense: mit\n"),
    ],
)
def test_metadata_and_card_are_told_apart(tmp_path: Path, text: str, licence: str | None, card: str) -> None:
    (tmp_path / "README.md").write_text(text, "utf-8")
    assert licence_of(tmp_path / "model.safetensors") == licence
    assert card_of(tmp_path / "model.safetensors") == card


def test_a_model_without_a_card_has_no_licence(tmp_path: Path) -> None:
    assert licence_of(tmp_path / "model.safetensors") is None
    assert card_of(tmp_path / "model.safetensors") == ""


def test_the_model_that_ships_names_its_licence() -> None:
    assert metadata_of(SHIPPED)["library_name"] == "sqcodec"
    assert licence_of(SHIPPED) == "mit"
    assert card_of(SHIPPED).startswith("# speech16k: model card\n")
