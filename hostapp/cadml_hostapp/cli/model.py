"""``cadml model``: scan pickled models without loading them; train one and choose which one serves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cadml_hostapp.cli.console import (
    EXIT_REFUSED,
    Options,
    err,
    escape,
    json_option,
    out,
    print_json,
    reports_errors,
    table,
)
from cadml_hostapp.cli.model_lifecycle import reload, train

if TYPE_CHECKING:
    from cadml_core.classifier.audit import AuditSnapshot
    from cadml_core.classifier.gate import Gate, GateReport
    from cadml_core.settings import Settings

EXIT_NOT_SCANNED = 2
_SHOWN_FINDINGS = 20


@click.group()
def model() -> None:
    """Scan pickled models, train one, choose the one that serves."""


model.add_command(train)
model.add_command(reload)


@model.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mode", help="Policy that judges: blacklist, audit, whitelist, or a plugin's.")
@json_option
@click.pass_obj
def scan(options: Options, file: Path, mode: str | None, as_json: bool) -> None:
    """Judge FILE without loading it. Exit 0: allowed; 1: refused; 2: it could not be scanned."""
    from cadml_core.classifier.gate import refusal
    from cadml_core.errors import CadmlError

    try:
        settings = options.settings(model_opcode_mode=mode)
        report = _gate(settings, named=mode).report(_read(file, settings.model_max_mb * 1024**2))
    except CadmlError as error:
        if as_json:
            print_json(error.problem())
        else:
            err.print(f"[bold red]{error.code}[/]: {escape(error.message)}")
        sys.exit(EXIT_NOT_SCANNED)
    refused = refusal(report)
    if as_json:
        print_json(_answer(file, report))
    else:
        _show(file, report)
    sys.exit(EXIT_REFUSED if refused else 0)


def _gate(settings: Settings, named: str | None = None) -> Gate:
    """Return the gate with the policy of the settings; ``named`` is the one that an option names."""
    from cadml_core.classifier.gate import Gate
    from cadml_core.plugins.loader import load_plugins

    policies = load_plugins(settings).registry.policies
    if named is not None:
        policies.named(named, stage="model_scan")
    return Gate(policies, settings.model_opcode_mode, settings.model_opcode_whitelist)


def _read(path: Path, max_bytes: int) -> bytes:
    from cadml_core.errors import LimitExceeded, NotFound, UnreadableInput

    try:
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", stage="model_scan", path=str(path)) from None
    except OSError as error:
        raise UnreadableInput(f"cannot read {path}: {error.strerror}", path=str(path)) from None
    if len(data) > max_bytes:
        raise LimitExceeded("MODEL_MAX_MB", found=path.stat().st_size, allowed=max_bytes)
    return data


def _answer(file: Path, report: GateReport) -> dict[str, Any]:
    from cadml_core.classifier.gate import refusal

    refused = refusal(report)
    return {
        "file": str(file),
        "mode": report.mode,
        "allowed": refused is None,
        "code": refused.code if refused else None,
        "message": refused.message if refused else None,
        "size": report.scan.size,
        "protocol": report.scan.protocol,
        "opcodes": report.scan.opcode_counts,
        "globals": sorted({found.label for found in report.scan.globals}),
        "findings": [*report.scan.malformed, *report.verdict.findings],
        "others": [
            {"policy": verdict.policy, "allowed": verdict.allowed, "findings": len(verdict.findings)}
            for verdict in report.others
        ],
    }


def _show(file: Path, report: GateReport) -> None:
    from cadml_core.classifier.gate import refusal

    refused = refusal(report)
    word = f"[bold red]refused[/] ({refused.code})" if refused else "[bold green]allowed[/]"
    out.print(f"{escape(str(file))}: {word} in {report.mode} mode")
    names = sorted({found.label for found in report.scan.globals})
    opcodes = sum(report.scan.opcode_counts.values())
    out.print(f"  protocol {report.scan.protocol}, {opcodes:,} opcodes, {len(names)} globals")
    findings = [*report.scan.malformed, *report.verdict.findings]
    for finding in findings[:_SHOWN_FINDINGS]:
        out.print(f"  byte {finding.position:,} {finding.opcode}: {escape(finding.message)}")
    if len(findings) > _SHOWN_FINDINGS:
        out.print(f"  ... and {len(findings) - _SHOWN_FINDINGS} more; --json lists all")
    for verdict in report.others:
        out.print(f"  {verdict.policy} mode would {'allow' if verdict.allowed else 'refuse'} it")


@model.command()
@json_option
@click.pass_obj
@reports_errors
def audit(options: Options, as_json: bool) -> None:
    """Show what the opcode audit has saved: opcodes, globals, and what other modes would refuse."""
    snapshot = _saved(options.settings())
    if as_json:
        print_json(snapshot)
        return
    out.print(f"{snapshot.samples:,} files scanned in audit mode, saved {snapshot.timestamp}")
    for policy, files in snapshot.would_refuse.items():
        out.print(f"  {policy} mode would refuse {files:,} of them")
    shown = table("global", "files", "refused by")
    for name, files in sorted(snapshot.globals.items(), key=lambda item: -item[1]):
        shown.add_row(escape(name), f"{files:,}", ", ".join(snapshot.refused_by.get(name, ())))
    out.print(shown)


@model.command("propose-whitelist")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@json_option
@click.pass_obj
@reports_errors
def propose_whitelist(options: Options, files: tuple[Path, ...], as_json: bool) -> None:
    """Propose MODEL_OPCODE_WHITELIST entries that would admit FILES, or else what the audit has saved.

    What the blacklist refuses is never proposed. Check each entry before you allow it: loading a model runs
    the code of the allowed classes.
    """
    from cadml_core.classifier.audit import proposed_whitelist

    settings = options.settings(model_opcode_mode="audit" if files else None)
    snapshot = _recorded(settings, files) if files else _saved(settings)
    proposed = proposed_whitelist(snapshot)
    if as_json:
        print_json({"files": snapshot.samples, "proposed": proposed})
    elif proposed:
        out.print(",".join(proposed))
    else:
        out.print("Nothing to add: whitelist mode already allows them, or the blacklist refuses them.")


def _recorded(settings: Settings, files: Sequence[Path]) -> AuditSnapshot:
    from cadml_core.classifier.audit import AuditStore

    store = AuditStore(None, 0, clock=lambda: 0.0)
    gate = _gate(settings)
    for file in files:
        report = gate.report(_read(file, settings.model_max_mb * 1024**2))
        if not report.scan.malformed:
            store.record(report.scan, report.others)
    return store.snapshot()


def _saved(settings: Settings) -> AuditSnapshot:
    from cadml_core.classifier.audit import newest_snapshot
    from cadml_core.errors import NotFound

    path = Path(settings.opcode_audit_persist_path)
    snapshot = newest_snapshot(path)
    if snapshot is None:
        raise NotFound(
            f"no audit has been saved in {path}; run the server with MODEL_OPCODE_MODE=audit first",
            stage="opcode_audit",
            path=str(path),
        )
    return snapshot
