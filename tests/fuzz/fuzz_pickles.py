"""Damage pickles by bytes and by opcodes, and hold the scan and the loader to their promises.

python tests/fuzz/fuzz_pickles.py [--seconds 60] [--seed 0]

* The scan never raises, whatever the bytes are.
* What the scan calls well-formed, the standard library's disassembler reads to the same end.
* What whitelist mode allows, the restricted loader loads without importing a global that the scan did not
  see, and without importing one that the whitelist does not hold. Loading may still fail.

Allowed files are loaded in child processes with limits on memory and time; a file that crashes one is printed
with its seed, and counted.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import pickletools
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from cadml_core.contracts.policies import PickleScan
from cadml_core.pickles.loader import RestrictedUnpickler, scanned_globals
from cadml_core.pickles.scan import scan_pickle
from cadml_plugins.policies._arguments import canonical
from cadml_plugins.policies._entries import builtin_whitelist
from cadml_plugins.policies.whitelist import Whitelist
from tests.unit.classifier.hostile import HOSTILE, MALFORMED

POLICY = Whitelist()
MEMORY = 4 << 30
LOAD_SECONDS = 20


def seeds() -> list[bytes]:
    """Return good, hostile and malformed pickles to start from, each below 20 kB."""
    found = [data for group in (HOSTILE, MALFORMED) for data in group.values()][::7]
    try:
        from tests.unit.classifier.zoo import pickles
    except ImportError:
        return found
    found += [data for _, _, data in pickles()] * 2
    return [data for data in found if len(data) < 20_000]


def split(data: bytes) -> list[bytes]:
    """Return the opcodes of a pickle with their arguments, as far as the disassembler gets."""
    positions: list[int] = []
    try:
        positions = [position or 0 for _, _, position in pickletools.genops(data)]
    except Exception:  # noqa: BLE001  (the seed may be broken by design)
        return [data]
    edges = [*positions, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def mutate(random_: random.Random, pool: list[bytes]) -> bytes:
    """Return a changed pickle: bytes for one half, opcodes for the other."""
    data = random_.choice(pool)
    if random_.random() < 0.5:
        return mutate_bytes(random_, data)
    pieces = split(data)
    other = split(random_.choice(pool))
    for _ in range(random_.randint(1, 4)):
        mutate_opcodes(random_, pieces, other)
    return b"".join(pieces)


def mutate_bytes(random_: random.Random, data: bytes) -> bytes:
    """Flip, insert, remove or repeat a few bytes."""
    changed = bytearray(data)
    for _ in range(random_.randint(1, 6)):
        position = random_.randrange(len(changed) + 1)
        kind = random_.randrange(5)
        if kind == 0 and position < len(changed):
            changed[position] ^= 1 << random_.randrange(8)
        elif kind == 1 and position < len(changed):
            changed[position] = random_.randrange(256)
        elif kind == 2:
            changed[position:position] = random_.randbytes(random_.randint(1, 4))
        elif kind == 3:
            del changed[position : position + random_.randint(1, 4)]
        else:
            start = random_.randrange(len(changed) + 1)
            changed[position:position] = changed[start : start + random_.randint(1, 12)]
    return bytes(changed)


def mutate_opcodes(random_: random.Random, pieces: list[bytes], other: list[bytes]) -> None:
    """Move, remove, repeat or exchange whole opcodes, so that the result is often well-formed."""
    if not pieces:
        return
    first, second = random_.randrange(len(pieces)), random_.randrange(len(pieces))
    kind = random_.randrange(7)
    if kind == 0:
        pieces[first], pieces[second] = pieces[second], pieces[first]
    elif kind == 1:
        del pieces[first]
    elif kind == 2:
        pieces.insert(first, pieces[second])
    elif kind == 3:
        pieces[first] = random_.choice(other)
    elif kind == 4:
        start = random_.randrange(len(other))
        pieces[first:first] = other[start : start + random_.randint(1, 8)]
    elif kind == 5:
        pieces[first] = same_kind(random_, pieces[first], pieces + other)
    else:
        pieces[first] = (
            bytes([random_.choice(pickletools.opcodes).code.encode("latin1")[0]]) + pieces[first][1:]
        )


def same_kind(random_: random.Random, piece: bytes, pieces: list[bytes]) -> bytes:
    """Return an opcode of the same kind with another argument."""
    return random_.choice([candidate for candidate in pieces if candidate[:1] == piece[:1]])


class Breach(Exception):
    """A promise is broken."""


class Recording(RestrictedUnpickler):
    """Checks each import against the whitelist itself, not against what the scan reported."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Import, if the whitelist holds it."""
        found = super().find_class(module, name)
        scan_name = next(label for label in self.labels if label[0] == f"{module}:{name}")[1]
        if canonical(scan_name) not in builtin_whitelist().globals:
            raise Breach(f"{module}:{name} is imported and not on the whitelist")
        return found

    labels: tuple[tuple[str, str], ...] = ()


def serve(pipe: Connection) -> None:
    """Load what is sent, in a child: answer how it went."""
    import resource
    import warnings

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        data, labels = pipe.recv()
        signal.alarm(LOAD_SECONDS)
        loader = Recording(data, [raw for raw, _ in labels])
        loader.labels = labels
        try:
            loader.load()
            outcome = "loaded"
        except Breach:
            outcome = traceback.format_exc()
        except pickle.UnpicklingError as error:
            outcome = traceback.format_exc() if "was not seen" in str(error) else "failed"
        except Exception:  # noqa: BLE001  (damaged content may make the classes raise anything)
            outcome = "failed"
        signal.alarm(0)
        pipe.send(outcome)


class Loader:
    """A child that loads, replaced when a file kills it."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def load(self, data: bytes, scan: PickleScan) -> str:
        """Return loaded, failed, killed, or the trace of a breach."""
        labels = tuple((found.raw or "", found.label) for found in scan.globals)
        try:
            self.pipe.send((data, labels))
            return str(self.pipe.recv())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.process.join()
            self._start()
            return "killed"

    def close(self) -> None:
        """End the child."""
        self.process.kill()
        self.process.join()


def check(data: bytes, loader: Loader) -> Iterator[str]:
    """Yield what became of one file, for the counts; raise Breach where a promise is broken."""
    try:
        scan = scan_pickle(data)
    except BaseException as error:
        raise Breach(f"the scan raises {error!r}") from error
    if scan.malformed:
        yield f"malformed: {scan.malformed[0].rule}"
        return
    yield "well-formed"
    try:
        last = list(pickletools.genops(data))[-1]
    except Exception as error:
        raise Breach(f"the disassembler raises {error!r}") from error
    if last[2] != len(data) - 1:
        raise Breach("the disassembler stops elsewhere")
    if not POLICY.judge(scan).allowed:
        yield "refused"
        return
    yield "allowed"
    outcome = loader.load(data, scan)
    if outcome not in ("loaded", "failed", "killed"):
        raise Breach(outcome)
    assert len(scanned_globals(scan)) == len(scan.globals)
    yield outcome


def main() -> int:
    """Run for the given time; exit 1 where a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that kill a loader or break a promise")
    arguments = parser.parse_args()
    pool, counts, loader = seeds(), Counter[str](), Loader()
    end, number, broken = time.monotonic() + arguments.seconds, 0, 0
    while time.monotonic() < end:
        number += 1
        data = mutate(random.Random(f"{arguments.seed}-{number}"), pool)
        try:
            outcomes = list(check(data, loader))
        except Breach as breach:
            broken += 1
            outcomes = ["BROKEN"]
            print(f"case {arguments.seed}-{number}: {breach}\n  {data[:200]!r}")
        counts.update(outcomes)
        if arguments.keep and {"BROKEN", "killed"} & set(outcomes):
            arguments.keep.mkdir(parents=True, exist_ok=True)
            (arguments.keep / f"{arguments.seed}-{number}.pkl").write_bytes(data)
    loader.close()
    print(f"{number:,} files from {len(pool):,} seeds")
    for outcome, count in counts.most_common():
        print(f"  {count:>9,}  {outcome}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
