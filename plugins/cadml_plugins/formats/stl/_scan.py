"""Regular ASCII facets read as columns of bytes, several times as fast as word by word.

Only plain text qualifies: 21 words per facet, keywords in place, decimal numbers of at most 15 digits. Other
text is left to the reading by words; for plain text both give exactly the same numbers.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]

WORDS = 21
COORDINATES = (8, 9, 10, 12, 13, 14, 16, 17, 18)
KEYWORDS = {
    0: b"facet",
    1: b"normal",
    5: b"outer",
    6: b"loop",
    7: b"vertex",
    11: b"vertex",
    15: b"vertex",
    19: b"endloop",
    20: b"endfacet",
}
"""Place of each keyword among the words of a facet."""

_MOST_DIGITS = 15
"""Any integer of so many decimal digits is exact in double precision."""
_MOST_FORMS = 24
"""Forms of numbers tried on a piece; a program writes all its numbers in a few."""
_MARGIN = 24
"""Blanks around the text, so that reading a fixed number of bytes before a word stays inside the array: a
sign, 15 digits, a point and an exponent of five characters are 22."""
_NUMBER = re.compile(rb"[+-]?(\d*)(?:(\.)(\d*))?([eE][+-]\d{1,3})?")
_POWERS = 10.0 ** np.arange(23)
"""The powers of ten that are exact in double precision. One multiplication or division by them rounds once,
and so correctly (W. D. Clinger, "How to read floating point numbers accurately", 1990)."""
_LOWER_CASE = np.uint64(0x2020202020202020)
_POINT, _MINUS, _PLUS, _ZERO = 46, 45, 43, 48


def scan(text: bytes) -> NDArray[np.float64] | None:
    """Return the corners of the facets, (m, 3, 3), or None where any part of the text is not regular."""
    padding = b" " * _MARGIN
    data = np.frombuffer(padding + text + padding, dtype=np.uint8)
    blank = data <= 32
    if data.min() < 9 or (data - np.uint8(14) < 18).any():  # control characters do not separate words
        return None
    # Words begin and end where blank changes to not blank and back, so places alternate between the two.
    places = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    if not len(places) or len(places) % (2 * WORDS):
        return None
    start, end = places[::2].reshape(-1, WORDS), places[1::2].reshape(-1, WORDS)
    if not _keywords_fit(data, start, end):
        return None
    columns = list(COORDINATES)
    numbers = _numbers(data, start[:, columns].ravel(), end[:, columns].ravel())
    return None if numbers is None else numbers.reshape(-1, 3, 3)


def _keywords_fit(data: Bytes, start: Places, end: Places) -> bool:
    # Overlapping views of eight bytes: a keyword is compared as one integer, in any case by setting the bit
    # that tells small letters from capitals. No keyword is longer.
    eights = np.ndarray((len(data) - 8,), dtype="<u8", buffer=data.data, strides=(1,))
    for place, keyword in KEYWORDS.items():
        if (end[:, place] - start[:, place] != len(keyword)).any():
            return False
        mask = np.uint64((1 << 8 * len(keyword)) - 1)
        found = (eights[start[:, place]] | _LOWER_CASE) & mask
        if (found != int.from_bytes(keyword, "little")).any():
            return False
    return True


def _numbers(data: Bytes, start: Places, end: Places) -> NDArray[np.float64] | None:
    """Read the numbers between pairs of places, form by form.

    A form is the number of digits behind the point and the length of the exponent. Numbers of one form are
    read together, place by place.
    """
    values = np.empty(len(start))
    pending = np.arange(len(start))
    for _ in range(_MOST_FORMS):
        if not len(pending):
            return values
        # The form of the first number left decides which ones are read next; usually nearly all.
        first = data[start[pending[0]] : end[pending[0]]].tobytes()
        form = _NUMBER.fullmatch(first)
        if form is None or not 0 < len(form[1]) + len(form[3] or b"") <= _MOST_DIGITS:
            return None
        decimals = -1 if form[2] is None else len(form[3])
        found, valid = _of_form(data, start[pending], end[pending], decimals, len(form[4] or b""))
        if not valid[0]:
            return None
        values[pending[valid]] = found[valid]
        pending = pending[~valid]
    return None


def _of_form(
    data: Bytes, start: Places, end: Places, decimals: int, exponent_length: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the values of the numbers read in a form, and which of them have that form.

    ``decimals`` is the number of digits behind the point, -1 where there is no point.
    """
    last = end - (exponent_length + 1)
    length = last - start + 1
    lead = data[start]
    negative = lead == _MINUS
    signed = negative | (lead == _PLUS)
    digits = length - signed - (decimals >= 0)
    valid = (digits > 0) & (digits <= _MOST_DIGITS) & (length > decimals)
    size = np.clip(length - signed, 0, _MARGIN - 8).astype(np.uint8)
    mantissa = np.zeros(len(start))
    for place in range(int(size.max()) - 1, -1, -1):
        char = data[last - place]
        if place == decimals:
            valid &= char == _POINT
            continue
        digit = char - np.uint8(_ZERO)  # unsigned, so that anything but a digit becomes 10 or more
        inside = size > place
        valid &= (digit < 10) | ~inside
        digit *= inside
        mantissa *= 10.0
        mantissa += digit
    power = np.full(1, -max(decimals, 0))
    if exponent_length:
        exponent, understood = _exponents(data, end, exponent_length)
        valid &= understood
        power = power + exponent
    valid &= np.abs(power) < len(_POWERS)
    scale = _POWERS[np.minimum(np.abs(power), len(_POWERS) - 1)]
    value = np.where(power < 0, mantissa / scale, mantissa * scale)
    return np.where(negative, -value, value), valid


def _exponents(data: Bytes, end: Places, length: int) -> tuple[Places, NDArray[np.bool_]]:
    """Read exponents of a letter, a sign and one to three digits."""
    sign = data[end - (length - 1)]
    valid = ((data[end - length] | 32) == ord("e")) & ((sign == _MINUS) | (sign == _PLUS))
    exponent = np.zeros(len(end), dtype=np.int64)
    for place in range(length - 2, 0, -1):
        digit = data[end - place] - np.uint8(_ZERO)
        valid &= digit < 10
        exponent = exponent * 10 + digit
    return np.where(sign == _MINUS, -exponent, exponent), valid
