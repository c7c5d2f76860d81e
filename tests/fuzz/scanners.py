"""Scanners of pickles by one interface: ours, and the public ones that are installed."""

from __future__ import annotations

import importlib
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path

from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.pickles.scan import scan_pickle

Scanner = Callable[[bytes], bool]
"""Tells whether the bytes are allowed."""


def is_installed(name: str) -> bool:
    """Tell whether a public scanner can be used."""
    return importlib.util.find_spec(name) is not None


def cadml(policy: OpcodePolicy) -> Scanner:
    """Return our scan with one policy."""
    return lambda data: policy.judge(scan_pickle(data)).allowed


def picklescan(*, strict: bool = False) -> Scanner:
    """Return picklescan, which must be installed."""
    scanner = importlib.import_module("picklescan.scanner")

    def allowed(data: bytes) -> bool:
        result = scanner.scan_pickle_bytes(io.BytesIO(data), "model.pkl", strict=strict)
        return bool(result.issues_count == 0 and not result.scan_err)

    return allowed


def fickling() -> Scanner:
    """Return fickling, which must be installed."""
    analysis = importlib.import_module("fickling.analysis")
    pickled = importlib.import_module("fickling.fickle").Pickled

    def allowed(data: bytes) -> bool:
        severity = analysis.check_safety(pickled.load(io.BytesIO(data))).severity
        return bool(severity == analysis.Severity.LIKELY_SAFE)

    return allowed


def modelscan(folder: Path) -> Scanner:
    """Return modelscan, which must be installed and reads files only; they are written to ``folder``."""
    scanner = importlib.import_module("modelscan.modelscan").ModelScan()

    def allowed(data: bytes) -> bool:
        path = folder / "model.pkl"
        path.write_bytes(data)
        result = scanner.scan(str(path))
        return bool(result["summary"]["total_issues"] == 0 and not result["errors"])

    return allowed


def verdict(scanner: Scanner, data: bytes) -> str:
    """Return ``allowed``, ``refused``, or ``error`` where the scanner fails, which refuses as well."""
    try:
        return "allowed" if scanner(data) else "refused"
    except (Exception, RecursionError):  # noqa: BLE001
        return "error"
