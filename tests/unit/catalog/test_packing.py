"""Raw values are written compactly and come back exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadml_core.catalog.packing import (
    HALVED_FROM,
    is_sound,
    length,
    pack,
    unpack,
    unpack_rows,
    with_checksum,
)
from cadml_core.errors import CatalogueUnavailable

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=1, max_size=40))
def test_values_come_back_exactly(values: list[float]) -> None:
    """Whatever the finite values, long or short, the ones read are the ones written."""
    for row in (np.array(values), np.resize(values, HALVED_FROM + len(values))):
        packed = pack(row)
        np.testing.assert_array_equal(unpack(packed), row)
        assert length(packed) == len(row)


def test_half_precision_is_used_where_it_is_exact() -> None:
    """A long row of such values takes two bytes each, else eight; and a mark and a checksum."""
    row = np.linspace(-4.0, 4.0, 1000).astype(np.float16).astype(float)
    assert len(pack(row)) == 2005
    row[7] = 0.1
    assert len(pack(row)) == 8004


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


@given(st.lists(FINITE, min_size=1, max_size=40), st.data())
def test_a_flipped_bit_is_noticed(values: list[float], data: st.DataObject) -> None:
    """Whichever bit of a vector it is: other values are never returned."""
    for row in (np.array(values), np.resize(np.round(np.clip(values, -9, 9)), HALVED_FROM)):
        packed = bytearray(pack(row))
        place = data.draw(st.integers(0, 8 * len(packed) - 1))
        packed[place // 8] ^= 1 << place % 8
        damaged = bytes(packed)
        if length(damaged) == len(row):
            assert not is_sound(damaged)
            with pytest.raises(CatalogueUnavailable, match="parts check"):
                unpack(damaged)
            with pytest.raises(CatalogueUnavailable):
                unpack_rows([pack(row), damaged])
        else:
            assert unpack_rows([pack(row), damaged]) is None


def test_rows_of_older_catalogues_are_read() -> None:
    """They have no checksum, and compare equal to new ones once they have one."""
    row, half = np.array([0.1, 2.0]), np.ones(HALVED_FROM)
    for values, bare in ((row, row.tobytes()), (half, b"\x02" + half.astype("<f2").tobytes())):
        np.testing.assert_array_equal(unpack(bare), values)
        assert is_sound(bare)
        assert with_checksum(bare) == with_checksum(pack(values)) == pack(values)
        found = unpack_rows([bare, pack(values)])
        assert found is not None
        np.testing.assert_array_equal(found, [values, values])
