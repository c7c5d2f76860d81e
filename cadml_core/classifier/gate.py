"""The gate: scan a pickle, let the chosen policy judge it, and turn a refusal into an error with a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cadml_core.contracts.policies import ConfigurablePolicy, Finding, OpcodePolicy, PickleScan, Verdict
from cadml_core.errors import InvalidSetting, ModelRejected
from cadml_core.pickles.scan import scan_pickle


class GateReport(msgspec.Struct, frozen=True):
    """What the scan saw, what the policy says, and what the others would say where it only observes."""

    mode: str
    scan: PickleScan
    verdict: Verdict
    others: tuple[Verdict, ...] = ()


class Gate:
    """Judges pickles by one policy.

    Args:
        policies: Every installed policy by name.
        mode: The one that decides.
        entries: ``MODEL_OPCODE_WHITELIST``, for the policies that take it.

    Raises:
        InvalidSetting: There is no policy of that name, or an entry cannot be.
    """

    def __init__(
        self, policies: Mapping[str, OpcodePolicy], mode: str, entries: tuple[str, ...] = ()
    ) -> None:
        if mode not in policies:
            raise InvalidSetting(
                f"MODEL_OPCODE_MODE = {mode!r} is not possible; installed: {', '.join(sorted(policies))}",
                setting="MODEL_OPCODE_MODE",
                value=mode,
                allowed=sorted(policies),
            )
        self.mode = mode
        self._policies = {name: _configured(policy, entries) for name, policy in policies.items()}

    def report(self, data: bytes) -> GateReport:
        """Scan and judge. Never raises, whatever the bytes are."""
        scan = scan_pickle(data)
        verdict = self._policies[self.mode].judge(scan)
        others: tuple[Verdict, ...] = ()
        if verdict.advisory:
            others = tuple(policy.judge(scan) for name, policy in self._policies.items() if name != self.mode)
        return GateReport(self.mode, scan, verdict, others)


def refusal(report: GateReport) -> ModelRejected | None:
    """Return the error that says why a pickle is refused, None where it is allowed.

    A malformed scan refuses whatever the policy says, so that no policy can forget it.
    """
    if report.scan.malformed:
        return _malformed(report.scan.malformed[0])
    if report.verdict.allowed:
        return None
    findings = report.verdict.findings
    first = findings[0] if findings else Finding("refused", "the policy gives no reason", "(none)", 0)
    context: dict[str, Any] = {
        "opcode": first.opcode,
        "mode": report.mode,
        "position": first.position,
        "rule": first.rule,
        "findings": len(findings),
    }
    if first.global_name is not None:
        context["global"] = first.global_name
    if report.verdict.allowed_set_size is None:
        return ModelRejected(
            f"refused in {report.mode} mode: {first.message}", code="MODEL_OPCODE_BLOCKED", **context
        )
    return ModelRejected(
        f"refused in {report.mode} mode: {first.message}",
        code="OPCODE_WHITELIST_VIOLATION",
        disallowed_opcode=first.opcode,
        allowed_set_size=report.verdict.allowed_set_size,
        **context,
    )


def _malformed(finding: Finding) -> ModelRejected:
    code = "MODEL_MAGIC_INVALID" if finding.rule == "magic" else "MODEL_MALFORMED"
    return ModelRejected(
        f"the file is no sound pickle: {finding.message} (byte {finding.position})",
        code=code,
        rule=finding.rule,
        opcode=finding.opcode,
        position=finding.position,
    )


def _configured(policy: OpcodePolicy, entries: tuple[str, ...]) -> OpcodePolicy:
    return policy.configured(entries) if isinstance(policy, ConfigurablePolicy) else policy
