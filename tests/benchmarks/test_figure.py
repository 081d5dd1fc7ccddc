"""The README's figure shows the figures of the page of results."""

from pathlib import Path

from benchmarks.figure import RESULTS, draw, read_points


def test_points_are_those_of_the_page(tmp_path: Path) -> None:
    points = {point.name: point for point in read_points(RESULTS.read_text("utf-8"))}
    assert points["800"][2:] == (802.0, 1.83, 0.726)
    assert points["codec2-3200"][2:] == (3195.0, 1.57, 0.724)
    assert points["Lyra v2"][2:] == (3205.0, 2.31, 0.765)
    assert {name for name, point in points.items() if point.ours} == {"400", "800", "1600", "3200"}
    draw([*points.values()], tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_the_readme_has_the_same_figures() -> None:
    readme = (RESULTS.parents[2] / "README.md").read_text("utf-8")
    for point in read_points(RESULTS.read_text("utf-8")):
        if point.ours:
            (row,) = [
                line for line in readme.splitlines() if line.startswith(f"| `--codebooks {int(point.name) // 400}`")
            ]
            assert f"| {point.pesq:.2f} | {point.estoi:.3f} |" in row
