"""No text of a meter or a partner is a formula in a spreadsheet, and every number stays a number."""

from __future__ import annotations

import pytest

from ami_process.spreadsheet_cells import as_cell


@pytest.mark.parametrize(
    "text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-1+1", "+", "-1.", "=", "--1"]
)
def test_a_formula_becomes_a_text(text: str) -> None:
    assert as_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1.50", "-0.001", "M1001", "1-0:1.8.0*255", "a=b", "'=1", "\u2212" + "1"]
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert as_cell(text) == text
