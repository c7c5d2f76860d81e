"""Checks that every metric is defined, exported, documented, recorded, tested, and shown to an operator.

    python contrib/scripts/metrics_consistency_check.py     # a table; exit 1 where something is missing

"Recorded" and "tested" mean that sources of the product and tests name the metric. Rules and dashboard must
use every metric of cadml, and no name that neither cadml nor a library of its server defines.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from cadml_core import metrics

ROOT = Path(__file__).parents[2]
PACKAGES = ("cadml_core", "plugins/cadml_plugins", "hostapp/cadml_hostapp")
MONITORING = ROOT / "contrib" / "monitoring"
HTTP = {
    "http_requests_total",
    "http_requests_error_total",
    "http_requests_in_progress",
    "http_request_duration_seconds_bucket",
    "http_request_duration_seconds_count",
    "http_request_duration_seconds_sum",
}
"""What Litestar's middleware defines with the first request."""
PROMETHEUS = {"up", "ALERTS"}
PLANNED: set[str] = set()
"""Metrics that rules and dashboard may use before anything defines them."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_DETAILS = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on", "ignoring", "inf", "nan"}


def names_in(query: str) -> set[str]:
    """Return the names of the series that a PromQL expression asks for."""
    for pattern in (_QUOTED, _DETAILS, _LISTS):
        query = pattern.sub(" ", query)
    query = re.sub(r"\b\d+(?:ms|[smhdwy])\b", " ", query)
    return {name for name in _NAME.findall(query) if name.lower() not in _WORDS}


def samples_of(collector: MetricWrapperBase) -> set[str]:
    """Return the names under which a metric is scraped."""
    name = collector._name
    if collector._type == "counter":
        return {f"{name}_total"}
    if collector._type == "histogram":
        return {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return {name}


def rule_queries(folder: Path) -> Iterator[tuple[str, str, str | None]]:
    """Yield the place, the expression and the recorded name of every rule."""
    for path in sorted(folder.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8")).get("groups", ()):
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                yield f"{path.name}: {name}", rule["expr"], rule.get("record")


def dashboard_queries(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the expression of every query of the dashboards, variables included."""
    for path in sorted(folder.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        for variable in dashboard["templating"]["list"]:
            if asked := re.fullmatch(r"label_values\((\w+), \w+\)", variable["query"]):
                yield f"{path.name}: ${variable['name']}", asked[1]
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.name}: {panel['title']}", target["expr"]


def collectors() -> dict[str, MetricWrapperBase]:
    """Return every collector that the module of metrics defines."""
    return {name: found for name, found in vars(metrics).items() if isinstance(found, MetricWrapperBase)}


def texts(folders: Iterable[Path], but: Iterable[Path] = ()) -> str:
    """Return all Python sources below the folders."""
    left_out = set(but)
    files = (path for folder in folders for path in sorted(folder.rglob("*.py")) if path not in left_out)
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def mentions(name: str, text: str) -> bool:
    """Tell whether a text names a metric or one of its samples."""
    return re.search(rf"\b{name}(_total|_bucket|_count|_sum)?\b", text) is not None


def rows(folder: Path = MONITORING) -> tuple[list[tuple[str, dict[str, bool]]], list[str]]:
    """Return what is true of each metric, and the names in rules and dashboards that nothing defines."""
    product = texts((ROOT / name for name in PACKAGES), [ROOT / "cadml_core" / "metrics.py"])
    tests = texts([ROOT / "tests"])
    documented = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    queries = [*dashboard_queries(folder), *((place, query) for place, query, _ in rule_queries(folder))]
    used = {name for _, query in queries for name in names_in(query)}
    found = []
    for name, collector in sorted(collectors().items()):
        facts = {
            "exported": name in metrics.__all__,
            "documented": f"| `{name}` |" in documented,
            "recorded": mentions(name, product),
            "tested": mentions(name, tests),
            "shown": bool(samples_of(collector) & used),
        }
        found.append((name, facts))
    return found, sorted(unknown(queries, folder))


def unknown(queries: Iterable[tuple[str, str]], folder: Path) -> Iterator[str]:
    """Yield each place that asks for a series that there never is."""
    recorded = {name for _, _, name in rule_queries(folder) if name}
    process = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    own = {sample for collector in collectors().values() for sample in samples_of(collector)}
    known = own | recorded | HTTP | PROMETHEUS | PLANNED
    known |= {name for name in process if name.startswith("process_")}
    for place, query in queries:
        for name in sorted(names_in(query) - known):
            yield f"{place} asks for {name}, which nothing defines"


def missing(found: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield what is not true of a metric."""
    for name, facts in found:
        for fact, holds in facts.items():
            if not holds:
                yield f"{name} is not {fact}"


def main() -> int:
    """Print the table; return the exit status."""
    found, faults = rows()
    exported_only = [
        f"{name} is exported, but no metric" for name in metrics.__all__ if name not in collectors()
    ]
    faults += [*missing(found), *exported_only]
    for name, facts in found:
        print(f"{name:45}", *(fact if holds else f"NOT {fact}" for fact, holds in facts.items()))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
