"""Checks an environment with the contrib plugins: all load but the one that is broken on purpose.

pip install . contrib/plugins/* && python contrib/scripts/check_plugins.py
"""

from __future__ import annotations

import sys

from cadml_core.plugins.loader import load_plugins, require_chosen
from cadml_core.settings import Settings


def main() -> int:
    """Print every record and return the exit status."""
    loaded = load_plugins(Settings())
    require_chosen(loaded.registry, Settings())
    for record in loaded.records:
        print(f"{record.name:12} {record.distribution:20} {record.status:8} {record.error or ''}")
    faults = [record for record in loaded.records if (record.status == "failed") != (record.name == "broken")]
    third_party = {record.distribution for record in loaded.records} - {"cadml"}
    return 1 if faults or not third_party else 0


if __name__ == "__main__":
    sys.exit(main())
