"""Metrics, error codes, rules and dashboard agree, and the scripts that say so find what does not."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "contrib" / "scripts"
MONITORING = ROOT / "contrib" / "monitoring"


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    """The script that checks the metrics."""
    return runpy.run_path(str(SCRIPTS / "metrics_consistency_check.py"))


@pytest.fixture(scope="module")
def codes() -> dict[str, Any]:
    """The script that checks the error codes."""
    return runpy.run_path(str(SCRIPTS / "generate_error_code_table.py"))


def test_every_metric_is_known_everywhere(check: dict[str, Any]) -> None:
    """Exported, documented, recorded, tested and shown; and nothing else is asked for."""
    found, unknown = check["rows"]()
    assert list(check["missing"](found)) == []
    assert unknown == []
    assert len(found) > 20


def test_every_error_code_is_known_everywhere(codes: dict[str, Any]) -> None:
    """Documented as it is, raised by the product and named by a test."""
    assert list(codes["faults"](codes["places"](codes["PRODUCT"]), codes["places"](("tests",)))) == []


def test_a_code_that_nobody_raises_or_tests_is_found(codes: dict[str, Any]) -> None:
    """The check fails where there is a gap."""
    told = list(codes["faults"]({}, {}))
    assert "PARSE_FAILED is raised nowhere" in told
    assert "PARSE_FAILED is tested nowhere" in told


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("up", {"up"}),
        ('rate(a_total{path="b_total", code=~"x|y"}[5m]) > 0.1', {"a_total"}),
        ("sum by (instance, le) (rate(a_bucket[5m])) / on (instance) b offset 1h", {"a_bucket", "b"}),
        ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[$__rate_interval])))", {"a_bucket"}),
        ("cadml:http_errors:ratio_rate5m > 5e3 and b unless c", {"cadml:http_errors:ratio_rate5m", "b", "c"}),
    ],
)
def test_the_names_of_a_query(check: dict[str, Any], query: str, names: set[str]) -> None:
    """Functions, labels, durations and words of the language are no series."""
    assert check["names_in"](query) == names


def test_a_rule_over_nothing_is_found(check: dict[str, Any], tmp_path: Path) -> None:
    """A rule, panel or variable that asks for a series there never is, and a metric that nobody shows."""
    rule = "groups: [{name: x, rules: [{alert: Wrong, expr: 'rate(no_such_total[5m]) > 0'}]}]"
    (tmp_path / "alerts.yaml").write_text(rule)
    panel = {"title": "Panel", "targets": [{"expr": "model_load_seq + no_such_gauge"}]}
    variable = {"name": "server", "query": "label_values(no_such_info, instance)"}
    dashboard = {"templating": {"list": [variable]}, "panels": [panel]}
    (tmp_path / "dashboard.json").write_text(json.dumps(dashboard))
    found, unknown = check["rows"](tmp_path)
    assert unknown == [
        "alerts.yaml: Wrong asks for no_such_total, which nothing defines",
        "dashboard.json: $server asks for no_such_info, which nothing defines",
        "dashboard.json: Panel asks for no_such_gauge, which nothing defines",
    ]
    gaps = list(check["missing"](found))
    assert "model_reload_total is not shown" in gaps
    assert "model_load_seq is not shown" not in gaps


def test_every_alert_is_seen_firing(check: dict[str, Any]) -> None:
    """The tests of the rules expect each of them."""
    tests = (MONITORING / "rules_test.yaml").read_text(encoding="utf-8")
    firing = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tests))
    firing |= set(re.findall(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}', tests))
    alerts = {place.split(": ")[1] for place, _, record in check["rule_queries"](MONITORING) if not record}
    assert alerts == firing
    told = (ROOT / "docs" / "how-to" / "monitor.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)) == alerts


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_the_rules_do_what_their_tests_say() -> None:
    """Prometheus's own tool checks the syntax and runs the tests."""
    for command in (
        ("check", "rules", "alerts.yaml", "recording.yaml"),
        ("test", "rules", "rules_test.yaml"),
    ):
        done = subprocess.run(
            ["promtool", *command], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
