"""The fast scan of ASCII facets: the same numbers as word by word, or none."""

from __future__ import annotations

import random

import numpy as np
import pytest

from cadml_plugins.formats.stl._scan import scan

FACET = "facet normal 0 0 1 outer loop vertex {} {} {} vertex {} {} {} vertex {} {} {} endloop endfacet\n"


def numbers_of(values: list[str]) -> np.ndarray | None:
    """Scan facets whose coordinates are written like this, nine each."""
    text = "".join(FACET.format(*values[i : i + 9]) for i in range(0, len(values), 9))
    return scan(text.encode())


@pytest.mark.parametrize(
    "form",
    [
        "{:.6e}",
        "{:e}",
        "{:.6f}",
        "{:.3f}",
        "{:g}",
        "{:.9g}",
        "{:.0f}",
        "{:.1f}",
        "{:+.4f}",
        "{:.4E}",
        "{:.10e}",
    ],
)
def test_numbers_are_exact(form: str) -> None:
    """Each way of printing numbers gives, bit for bit, what Python's float makes of them."""
    noise = random.Random(11)
    values = [form.format(noise.uniform(-1, 1) * 10 ** noise.uniform(-7, 7)) for _ in range(900)]
    found = numbers_of(values)
    assert found is not None
    assert found.ravel().tolist() == list(map(float, values))


def test_forms_may_mix() -> None:
    """Numbers of many forms in one text are each read in their own."""
    values = ["1", "-2.5", "+3.25e+2", "4.", ".5", "-0.0", "6E-3", "7e+10", "000.125"]
    found = numbers_of(values)
    assert found is not None
    assert found.ravel().tolist() == list(map(float, values))
    assert np.signbit(found.ravel()[5])


@pytest.mark.parametrize(
    "value",
    ["nan", "inf", "1,5", "1_0", "0x1", "1e", "1e5", ".", "-", "+-1", "1.2.3", "--1", "1e+", "e+05", "1e+0x",
     "12345678901234567", "1e-300", "1.5e+30", "\x001", "٣", "1\u00a0"],
)  # fmt: skip
def test_anything_else_is_left_alone(value: str) -> None:
    """What is not plainly a number, or not exactly computable, is left to the reading by words."""
    assert numbers_of(["1.0"] * 40 + [value] + ["1.0"] * 4) is None


@pytest.mark.parametrize(
    "text",
    [b"", b"  \n", b"facet", FACET.format(*range(9)).replace("loop", "pool", 1).encode(),
     FACET.format(*range(9)).replace("endfacet", "endfacets").encode(),
     FACET.format(*range(9)).replace("normal 0 0 1", "normal 0 0").encode(),
     b"solid x\n" + FACET.format(*range(9)).encode()],
)  # fmt: skip
def test_irregular_text_is_left_alone(text: bytes) -> None:
    """Headers, other words and missing ones are for the reading by words."""
    assert scan(text) is None


def test_keywords_in_any_case() -> None:
    """Capitals are as good as small letters."""
    found = scan(FACET.format(*range(9)).upper().encode())
    assert found is not None
    assert found.ravel().tolist() == list(range(9))
