"""Text in CSV files is never a formula, and comes back as it was."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadml_core.intake import transfer
from cadml_core.intake.spreadsheets import guarded, unguarded

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "'=1", "''"]


@given(st.text())
def test_guarding_is_reversible(text: str) -> None:
    """Whatever the text; and what is guarded begins like no formula."""
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("text", FORMULAS)
def test_an_export_holds_no_formula(tmp_path: Path, text: str) -> None:
    """Text is guarded; negative numbers stay numbers; all of it comes back."""
    facts = {fact: [f"{text}{fact}"] for fact in transfer.FACTS}
    values = np.array([[-1.5, 2.0]])
    table = transfer.VectorTable("v", ("a", "b"), facts, values, values.astype(np.float32))
    path = tmp_path / "out.csv"
    transfer.write(table, path)
    with path.open(newline="", encoding="utf-8") as file:
        _, cells = csv.reader(file)
    texts = cells[: len(transfer.FACTS)]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in texts)
    assert cells[len(transfer.FACTS) + 1] == "-1.5"
    back = transfer.read(path)
    assert {fact: list(column) for fact, column in back.facts.items()} == facts
    assert back.values.tolist() == values.tolist()
