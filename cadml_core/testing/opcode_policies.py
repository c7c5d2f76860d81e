"""What every opcode policy promises."""

from __future__ import annotations

import pytest

from cadml_core.contracts.policies import Finding, OpcodePolicy, PickleScan, Verdict


def _scan(*, malformed: tuple[Finding, ...] = ()) -> PickleScan:
    counts = {"PROTO": 1, "BININT1": 1, "STOP": 1}
    return PickleScan(size=5, protocol=4, opcode_counts=counts, globals=(), malformed=malformed)


class OpcodePolicyContract:
    """Inherit, and provide the fixture ``policy``."""

    @pytest.fixture
    def policy(self) -> OpcodePolicy:
        """Return the policy under test."""
        raise NotImplementedError("override the fixture `policy`")

    def test_satisfies_the_protocol(self, policy: OpcodePolicy) -> None:
        """It has every member of the contract."""
        assert isinstance(policy, OpcodePolicy)

    def test_signs_its_verdict(self, policy: OpcodePolicy) -> None:
        """The verdict names the policy that gave it."""
        verdict = policy.judge(_scan())
        assert isinstance(verdict, Verdict)
        assert verdict.policy == policy.name

    def test_is_pure(self, policy: OpcodePolicy) -> None:
        """The same scan gets the same verdict."""
        assert policy.judge(_scan()) == policy.judge(_scan())

    def test_allows_plain_numbers(self, policy: OpcodePolicy) -> None:
        """A pickle of one small number, which names no global, is allowed."""
        assert policy.judge(_scan()).allowed

    def test_refuses_what_is_malformed(self, policy: OpcodePolicy) -> None:
        """A malformed pickle is refused in every mode, with its findings."""
        finding = Finding("no-stop", "the pickle does not end with STOP", "STOP", 5)
        verdict = policy.judge(_scan(malformed=(finding,)))
        assert not verdict.allowed
        assert finding in verdict.findings
