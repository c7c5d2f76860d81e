"""The plugin that the how-to page builds keeps its contract: the page's own code is run."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-plugin.md"
ADAPTER, TESTS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

plugin = types.ModuleType("cadml_points")
sys.modules[plugin.__name__] = plugin  # as if it were installed: adapters are pickled by name
exec(compile(ADAPTER, str(PAGE), "exec"), plugin.__dict__)
exec(compile(TESTS, str(PAGE), "exec"))  # defines TestPoints, which pytest collects


def test_the_page_defines_tests() -> None:
    """A page without its test class would make every test above vanish."""
    assert any(name.startswith("test_") for name in dir(globals()["TestPoints"]))
