"""Raw values are written compactly and come back exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadml_core.catalog.packing import HALVED_FROM, length, pack, unpack, unpack_rows

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=1, max_size=40))
def test_values_come_back_exactly(values: list[float]) -> None:
    """Whatever the finite values, long or short, the ones read are the ones written."""
    for row in (np.array(values), np.resize(values, HALVED_FROM + len(values))):
        packed = pack(row)
        np.testing.assert_array_equal(unpack(packed), row)
        assert length(packed) == len(row)


def test_half_precision_is_used_where_it_is_exact() -> None:
    """A long row of such values takes two bytes each and one more; with one finer value, eight each."""
    row = np.linspace(-4.0, 4.0, 1000).astype(np.float16).astype(float)
    assert len(pack(row)) == 2001
    row[7] = 0.1
    assert len(pack(row)) == 8000


def test_rows_of_both_kinds_are_read_together() -> None:
    """Rows of one length come back in order, whichever way each is written."""
    rows = np.ones((4, HALVED_FROM))
    rows[2, 5] = 0.1
    for chosen in (rows, rows[[0, 1, 3]], rows[2:3]):
        found = unpack_rows([pack(row) for row in chosen])
        assert found is not None
        np.testing.assert_array_equal(found, chosen)


@pytest.mark.parametrize("packed", [[b"12345678", b"1234567812345678"], [b"123"], [b"\x02abc", b"12345678"]])
def test_damage_is_noticed(packed: list[bytes]) -> None:
    """Rows of different lengths, or of none that was written, are not read."""
    assert unpack_rows(packed) is None
