"""Ways to damage a good CAD file, from single bits to whole entities."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[bytes, Random], bytes]

_NUMBER = re.compile(rb"(?<![\w.#])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[EeDd][-+]?\d+)?")
_STEP_ENTITY = re.compile(rb"#\d+\s*=\s*[^;]*;")
_STEP_REFERENCE = re.compile(rb"#\d+")
_DECIMAL = re.compile(rb"(?<![\w.#])[-+]?\d+\.\d*(?:[Ee][-+]?\d{1,2})?(?![\w.])")
_DXF_UNIT = re.compile(rb"\$INSUNITS\s+70\s+\d")
_UNITS = (b"0", b"1", b"6", b"18", b"20", b"24", b"25", b"-1", b"99999", b"")
_STEP_UNIT = re.compile(rb"SI_UNIT\s*\([^()]*\.METRE\.\s*\)|CONVERSION_BASED_UNIT\s*\(\s*'[^']*'")
_STEP_UNITS = (
    b"SI_UNIT(.CENTI.,.METRE.)", b"SI_UNIT($,.METRE.)", b"SI_UNIT(.MICRO.,.METRE.)",
    b"SI_UNIT(.EXA.,.METRE.)", b"SI_UNIT(.MILLI.,.GRAM.)", b"SI_UNIT($,$)",
    b"CONVERSION_BASED_UNIT('INCH'", b"CONVERSION_BASED_UNIT('1'",
)  # fmt: skip
_IGES_UNIT = re.compile(rb"\d+,2H(?:MM|IN|CM|KM|FT|MI|UM)")
_IGES_UNITS = (
    b"1,2HIN",
    b"2,2HMM",
    b"6,2HMM",
    b"0,2HXX",
    b"9,2HUM",
    b"3,2HIN",
    b"5,2HMI",
    b"3,2Hcm",
    b",2HXX",
)
_STEP_TRIPLE = re.compile(rb"(?:CARTESIAN_POINT|DIRECTION)\s*\(\s*'[^']*'\s*,\s*\([^()]*\)")
_KEYWORD = re.compile(rb"\b[A-Z][A-Z_]{3,}\b")
EXTREMES = (
    b"0", b"-1", b"1", b"0.", b"-0.0", b"1e308", b"-1e308", b"1.E400", b"1e-320", b"nan", b"inf",
    b"2147483648", b"-2147483649", b"9" * 40, b"4294967295", b"1e20", b"65536",
    b"0.000000001", b"", b"1,5", b"1.2.3",
)  # fmt: skip
"""What a number may turn into."""


def flip_bits(data: bytes, random: Random) -> bytes:
    """Flip up to sixteen bits."""
    damaged = bytearray(data)
    for _ in range(random.randint(1, 16)):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def overwrite(data: bytes, random: Random) -> bytes:
    """Write random bytes over a stretch."""
    start, end = _stretch(data, random, 64)
    return data[:start] + random.randbytes(end - start) + data[end:]


def delete(data: bytes, random: Random) -> bytes:
    """Cut a stretch out."""
    start, end = _stretch(data, random, 512)
    return data[:start] + data[end:]


def duplicate(data: bytes, random: Random) -> bytes:
    """Repeat a stretch."""
    start, end = _stretch(data, random, 512)
    return data[:end] + data[start:end] * random.randint(1, 4) + data[end:]


def zero(data: bytes, random: Random) -> bytes:
    """Fill a stretch with zero bytes, as a lost disk block does."""
    start, end = _stretch(data, random, 4096)
    return data[:start] + b"\0" * (end - start) + data[end:]


def truncate(data: bytes, random: Random) -> bytes:
    """Lose the end."""
    return data[: random.randrange(len(data))]


def delete_lines(data: bytes, random: Random) -> bytes:
    """Lose some lines."""
    lines = data.splitlines(keepends=True)
    for _ in range(random.randint(1, 4)):
        if lines:
            del lines[random.randrange(len(lines))]
    return b"".join(lines)


def swap_lines(data: bytes, random: Random) -> bytes:
    """Exchange two lines."""
    lines = data.splitlines(keepends=True)
    one, two = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def copy_line(data: bytes, random: Random) -> bytes:
    """Write one line over another."""
    lines = data.splitlines(keepends=True)
    lines[random.randrange(len(lines))] = random.choice(lines)
    return b"".join(lines)


def change_numbers(data: bytes, random: Random) -> bytes:
    """Turn up to four numbers into extreme ones."""
    for _ in range(random.randint(1, 4)):
        data = _replace(data, random, _NUMBER, lambda _: random.choice(EXTREMES))
    return data


def swap_numbers(data: bytes, random: Random) -> bytes:
    """Write one number of the file in place of another."""
    found = _NUMBER.findall(data)
    return _replace(data, random, _NUMBER, lambda _: random.choice(found)) if found else data


def delete_entity(data: bytes, random: Random) -> bytes:
    """Lose one STEP entity, so that references dangle."""
    return _replace(data, random, _STEP_ENTITY, lambda _: b"")


def redirect_reference(data: bytes, random: Random) -> bytes:
    """Point a STEP reference to another entity, often of a wrong type or in a circle."""
    found = _STEP_REFERENCE.findall(data)
    return _replace(data, random, _STEP_REFERENCE, lambda _: random.choice(found)) if found else data


def change_keyword(data: bytes, random: Random) -> bytes:
    """Write one keyword of the file in place of another: the type of an entity, a section, a marker."""
    found = _KEYWORD.findall(data)
    return _replace(data, random, _KEYWORD, lambda _: random.choice(found)) if found else data


def change_unit(data: bytes, random: Random) -> bytes:
    """State another unit, or none that there is."""
    data = _replace(data, random, _DXF_UNIT, lambda found: found[:-1] + random.choice(_UNITS))
    data = _replace(data, random, _IGES_UNIT, lambda _: random.choice(_IGES_UNITS))
    return _replace(data, random, _STEP_UNIT, lambda _: random.choice(_STEP_UNITS))


def swap_places(data: bytes, random: Random) -> bytes:
    """Write one point or direction of a STEP file in place of another of its kind.

    Faces meet one another, or themselves, and parts lie elsewhere or are turned by axes that are none.
    """
    found = _STEP_TRIPLE.findall(data)

    def other(place: bytes) -> bytes:
        kind, _, numbers = place.partition(b"(")
        alike = [one for one in found if one.startswith(kind)]
        return (
            kind + b"(" + random.choice(alike).partition(b"(")[2]
            if random.random() < 0.9
            else (kind + b"(" + numbers.rpartition(b"(")[0] + b"(0.,0.,0.)")
        )

    return _replace(data, random, _STEP_TRIPLE, other) if found else data


def scale_numbers(data: bytes, random: Random) -> bytes:
    """Write every decimal of a text file in another unit, or in a size that is none."""
    factor = random.choice((1e-3, 1 / 25.4, 25.4, 1e3, 1e-30, 1e30))
    return _DECIMAL.sub(lambda found: b"%.9e" % (float(found.group()) * factor), data)


def close_in_two_words(data: bytes, random: Random) -> bytes:
    """Write the end of an ASCII solid, or of anything, as two words."""
    blanks = random.choice((b" ", b"\t", b"  ", b" " * 40, b"\n"))
    return data.replace(b"endsolid", b"end" + blanks + b"solid")


MUTATIONS: Sequence[Mutation] = (
    flip_bits, overwrite, delete, duplicate, zero, truncate, delete_lines, swap_lines, copy_line,
    change_numbers, swap_numbers, delete_entity, redirect_reference, change_keyword,
    change_unit, swap_places, scale_numbers, close_in_two_words,
)  # fmt: skip


def mutate(data: bytes, other: bytes, random: Random) -> tuple[str, bytes]:
    """Damage a file in one to three ways, or join its head to the tail of another.

    Returns:
        What was done, and the result; never the file itself.
    """
    for _ in range(20):
        if random.random() < 0.05:
            done = ["splice"]
            damaged = data[: random.randrange(len(data))] + other[random.randrange(len(other)) :]
        else:
            chosen = random.choices(MUTATIONS, k=random.choice((1, 1, 2, 3)))
            done, damaged = [], data
            for mutation in chosen:
                if damaged:
                    damaged = mutation(damaged, random)
                    done.append(mutation.__name__)
        if damaged != data:
            return "+".join(done), damaged
    return "truncate", data[: len(data) // 2]


def _stretch(data: bytes, random: Random, longest: int) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.randint(1, longest))


def _replace(data: bytes, random: Random, pattern: re.Pattern[bytes], new: Callable[[bytes], bytes]) -> bytes:
    """Replace one occurrence of a pattern, found from a random place on."""
    match = pattern.search(data, random.randrange(len(data))) or pattern.search(data)
    if match is None:
        return data
    return data[: match.start()] + new(match.group()) + data[match.end() :]
