"""The policy ``audit``: records everything, and refuses only what is malformed."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core import OpcodePolicy, PickleScan, Verdict, hookimpl


class Audit:
    """Allows every well-formed pickle. The gate also asks the other policies, and reports their verdicts."""

    name = "audit"

    def judge(self, scan: PickleScan) -> Verdict:
        """Refuse what is malformed, and nothing else."""
        return Verdict(self.name, allowed=not scan.malformed, findings=scan.malformed, advisory=True)


@hookimpl
def cadml_opcode_policies() -> Iterable[OpcodePolicy]:
    """Register the policy."""
    return (Audit(),)
