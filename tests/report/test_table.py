"""Tables as a reader sees them."""

from sqcodec.report.table import Column, Figure, figure_text, latex, markdown, number, plain

PESQ = Column("pesq", "PESQ wb", "", "higher", 2)
RATE = Column("bit_rate", "Bit rate", "bit/s", None, 0)


def test_headings_name_unit_and_direction() -> None:
    assert PESQ.heading == "PESQ wb ↑"
    assert RATE.heading == "Bit rate (bit/s)"
    assert PESQ._replace(better="lower").heading == "PESQ wb ↓"


def test_cells_show_interval_and_failures() -> None:
    assert figure_text(Figure(2.345, 2.3, 2.4, 9, 0), PESQ) == "2.35 [2.30, 2.40]"
    assert figure_text(Figure(2.345, 2.3, 2.4, 9, 2), PESQ) == "2.35 [2.30, 2.40] (2 failed)"
    assert figure_text(Figure(450.0, 450.0, 450.0, 1, 0), RATE) == "450"
    assert figure_text(Figure(None, None, None, 0, 3), PESQ) == "– (3 failed)"
    assert figure_text(Figure(None, None, None, 0, 0), PESQ) == "–"


def test_no_negative_zero() -> None:
    assert number(-0.001, 2) == "0.00"


def test_tables() -> None:
    rows = [["", "a"], ["one", "1"], ["three", "22"]]
    assert plain(rows) == "        a\none     1\nthree  22"
    assert markdown(rows) == "|  | a |\n|---|---:|\n| one | 1 |\n| three | 22 |"


def test_latex_escapes_what_it_would_read() -> None:
    assert latex([("a_b", "50 %"), ("x & y", "–")]).splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"a\_b & 50 \% \\", r"\midrule", r"x \& y & -- \\", r"\bottomrule",
        r"\end{tabular}",
    ]  # fmt: skip
