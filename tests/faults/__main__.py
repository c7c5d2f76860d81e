"""Make each fault, and print what clients saw, what was lost and how it came back.

    python -m tests.faults [NAME ...]        # exit 1 where something acknowledged was lost, or worse

Some faults need root (file systems that are mounted), or programs of Debian: strace, faketime, postgresql.
Those that cannot be made here are named as such.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults import databases, disks, processes
from tests.faults.disks import Unsupported

CASES = {
    case.__name__: case
    for case in (
        disks.disk_full,
        disks.read_only,
        disks.flipped_bytes,
        disks.torn_log,
        disks.folder_removed,
        databases.locked,
        databases.shared,
        databases.postgres_restarted,
        databases.postgres_connections,
        processes.clock_back,
        processes.parent_killed,
        processes.stopped_under_load,
        processes.order_of_syncs,
    )
}


def main(names: list[str]) -> int:
    """Run the cases; return the exit status."""
    failed = 0
    for name in names or CASES:
        start = time.monotonic()
        print(f"\n{name}: {(CASES[name].__doc__ or '').splitlines()[0]}", flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix="cadml-fault-") as folder:
                found = CASES[name](Path(folder))
        except Unsupported as error:
            print(f"  not made here: {error}")
            continue
        except Exception:  # noqa: BLE001 - the other cases are run all the same
            traceback.print_exc()
            failed += 1
            continue
        bad = bool(found.problems or found.lost)
        failed += bad
        print(f"  clients saw  {found.saw}")
        print(f"  lost         {', '.join(found.lost) or 'nothing'}")
        print(f"  came back    {found.recovery}")
        for problem in found.problems:
            print(f"  PROBLEM      {problem}")
        print(f"  {'FAILED' if bad else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
    print(f"\n{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
