"""Judge every family of hostile state in both modes, with public scanners beside ours where there are any.

python -m tests.fuzz.judge_hostile [--each]

Exits with 1 where whitelist mode would serve one. What blacklist mode allows here only the sandbox holds:
it knows names and plainly dangerous attributes, not the structure of arrays. Compared are picklescan,
fickling and modelscan (pip install picklescan fickling modelscan).
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist
from tests.fuzz import scanners as by_name
from tests.fuzz.hostile_families import Family, families
from tests.fuzz.scanners import Scanner, cadml, fickling, is_installed, modelscan, picklescan

Rows = list[tuple[Family, Mapping[str, str]]]


def scanners(folder: Path) -> dict[str, Scanner]:
    """Return our two modes, and the public scanners that are installed."""
    found = {policy.name: cadml(policy) for policy in (Whitelist(), Blacklist())}
    makers: dict[str, Callable[[], Scanner]] = {
        "picklescan": picklescan,
        "fickling": fickling,
        "modelscan": lambda: modelscan(folder),
    }
    return found | {name: make() for name, make in makers.items() if is_installed(name)}


def verdict(scanner: Scanner, data: bytes) -> str:
    """Return ``allowed`` or ``refused``; a scanner that fails refuses."""
    return "allowed" if by_name.verdict(scanner, data) == "allowed" else "refused"


def table(rows: Rows, names: list[str], each: bool) -> None:
    """Print how many of each group are refused; with ``each``, every family."""
    print(f"{'':52}" + "".join(f"{name:>12}" for name in names))
    groups = {family.group: None for family, _ in rows}
    for group in [*groups, "all"]:
        chosen = [(family, row) for family, row in rows if group in (family.group, "all")]
        refused = [sum(row[name] == "refused" for _, row in chosen) for name in names]
        print(f"{group:46}{len(chosen):>6}" + "".join(f"{count:>12}" for count in refused))
        for family, row in chosen if each and group != "all" else ():
            print(f"   {family.name[:48]:49}" + "".join(f"{row[name]:>12}" for name in names))


def main() -> int:
    """Print the table; return 1 where whitelist mode allows a family."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", action="store_true", help="a line for every family")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = scanners(folder)
        rows: Rows = [
            (family, {name: verdict(scanner, family.data) for name, scanner in found.items()})
            for family in families(folder / "canary")
        ]
    table(rows, list(found), arguments.each)
    served = [f"{family.group}: {family.name}" for family, row in rows if row["whitelist"] == "allowed"]
    print(f"\nwhitelist mode would serve {len(served)}: {served}")
    return bool(served)


if __name__ == "__main__":
    sys.exit(main())
