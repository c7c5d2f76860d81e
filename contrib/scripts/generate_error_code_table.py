"""Writes the table of error codes with where each is raised and tested, and checks that all are.

    python contrib/scripts/generate_error_code_table.py            # print the table
    python contrib/scripts/generate_error_code_table.py --check    # exit 1 where a code is not documented,
                                                                   # raised or tested

A code counts as raised or tested where a source names it, or an exception that stands for it.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from cadml_core import errors
from cadml_core.errors import ERROR_CODES, CadmlError

ROOT = Path(__file__).parents[2]
PRODUCT = ("cadml_core", "plugins/cadml_plugins", "hostapp/cadml_hostapp")
TABLES = {ROOT / "cadml_core" / name for name in ("errors.py", "metrics.py")}
"""They name codes without raising them."""
PLANNED: set[str] = set()
"""Codes that are documented before anything raises them."""


def names_by_code() -> dict[str, set[str]]:
    """Return what a source may call each code: itself, or the classes whose code it is."""
    names = {code: {code} for code in ERROR_CODES}
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, CadmlError) and kind is not CadmlError:
            names[kind.code].add(name)
    return names


def words(path: Path) -> Iterator[str]:
    """Yield the names, attributes and texts of a source."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def places(folders: tuple[str, ...]) -> dict[str, list[str]]:
    """Return by code the files below the folders that name it."""
    names, found = names_by_code(), defaultdict(list)
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        if path in TABLES:
            continue
        seen = set(words(path))
        for code, known in names.items():
            if known & seen:
                found[code].append(str(path.relative_to(ROOT)))
    return found


def shortened(paths: list[str]) -> str:
    """Return the first paths, and how many more there are."""
    told = ", ".join(f"`{path}`" for path in paths[:2]) or "nowhere yet"
    return told + (f" and {len(paths) - 2} more" if len(paths) > 2 else "")


def table(raised: dict[str, list[str]], tested: dict[str, list[str]]) -> str:
    """Return the table in Markdown."""
    lines = [
        "| code | stage | HTTP | meaning | raised in | tested in |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for spec in ERROR_CODES.values():
        cells = (
            f"`{spec.code}`",
            spec.stage or "the operation",
            str(spec.status),
            spec.meaning,
            shortened(raised.get(spec.code, [])),
            shortened(tested.get(spec.code, [])),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def faults(raised: dict[str, list[str]], tested: dict[str, list[str]]) -> Iterator[str]:
    """Yield what is missing."""
    documented = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    for spec in ERROR_CODES.values():
        row = f"| `{spec.code}` | {spec.stage or 'the operation'} | {spec.status} | {spec.meaning} |"
        if row not in documented:
            yield f"{spec.code} is not documented as it is; run contrib/scripts/generate_reference.py"
        if spec.code in PLANNED and not raised.get(spec.code):
            continue
        if not raised.get(spec.code):
            yield f"{spec.code} is raised nowhere"
        if not tested.get(spec.code):
            yield f"{spec.code} is tested nowhere"


def main(check: bool) -> int:
    """Print the table, or what is missing; return the exit status."""
    raised, tested = places(PRODUCT), places(("tests",))
    if not check:
        print(table(raised, tested))
        return 0
    found = list(faults(raised, tested))
    waiting = sorted(PLANNED - raised.keys())
    complete = f"{len(ERROR_CODES) - len(waiting)} codes are documented, raised and tested."
    print("\n".join(found) or complete)
    if waiting:
        print("Documented only, as planned:", ", ".join(waiting))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
