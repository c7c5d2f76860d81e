"""The reference pages say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    """The script that writes the pages."""
    return runpy.run_path(str(ROOT / "contrib" / "scripts" / "generate_reference.py"))


@pytest.mark.parametrize(
    "page",
    [
        "commands.md",
        "errors.md",
        "features.md",
        "hooks.md",
        "http-api.md",
        "metrics.md",
        "plugin-api.md",
        "settings.md",
    ],
)
def test_a_page_is_up_to_date(generator: dict[str, Any], page: str) -> None:
    """The committed page equals what the code gives; run contrib/scripts/generate_reference.py."""
    assert (ROOT / "docs" / "reference" / page).read_text() == generator["NOTE"] + generator["PAGES"][page]()


def test_every_local_link_leads_somewhere() -> None:
    """Links between the documents, and from the README and its neighbours, name files that exist."""
    import re

    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
