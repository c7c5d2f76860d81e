"""Every check of a model file before a process may load it: size, magic, hash, scan, policy, metadata."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cadml_core.classifier.audit import AuditStore
from cadml_core.classifier.files import InputKind, ModelFile, ModelMetadata, read_metadata, read_model
from cadml_core.contracts.faults import broken, raised
from cadml_core.contracts.features import FeatureVersion, embedded
from cadml_core.contracts.policies import ConfigurablePolicy, Finding, OpcodePolicy, PickleScan, Verdict
from cadml_core.errors import DimensionMismatch, InvalidSetting, ModelRejected, PluginUnavailable
from cadml_core.pickles.grammar import magic_problem
from cadml_core.pickles.loader import scanned_globals
from cadml_core.pickles.scan import scan_pickle
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

_STAGE = "model_reload"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
SECURITY_REASONS = {
    "MODEL_SIZE_EXCEEDED": "size_exceeded",
    "MODEL_MAGIC_INVALID": "magic_invalid",
    "MODEL_HASH_MISMATCH": "hash_mismatch",
    "MODEL_MALFORMED": "malformed",
    "MODEL_OPCODE_BLOCKED": "opcode_blocked",
    "OPCODE_WHITELIST_VIOLATION": "opcode_whitelist_violation",
}
"""Error code -> what ``model_security_fail_total`` calls the check that failed."""


class GateReport(msgspec.Struct, frozen=True):
    """What the scan saw, what the policy says, and what the others would say where it only observes."""

    mode: str
    scan: PickleScan
    verdict: Verdict
    others: tuple[Verdict, ...] = ()


class Gate:
    """Judges pickles by one policy: the part of the checks that needs no settings or files.

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
        verdict = _judged(self._policies[self.mode], scan)
        others: tuple[Verdict, ...] = ()
        if verdict.advisory:
            others = tuple(
                _judged(policy, scan) for name, policy in self._policies.items() if name != self.mode
            )
        return GateReport(self.mode, scan, verdict, others)


def _judged(policy: OpcodePolicy, scan: PickleScan) -> Verdict:
    """Return the verdict; a policy that gives none refuses, and the finding says what is wrong with it."""
    try:
        verdict: Any = policy.judge(scan)
        if isinstance(verdict, Verdict):
            return verdict
        fault = f"returned {type(verdict).__name__}, not a Verdict"
    # Third-party code may raise anything.
    except Exception as error:  # noqa: BLE001
        fault = raised(error)
    told = broken("opcode policy", policy, "judge", fault, stage="security").message
    log.warning("%s", told)
    return Verdict(policy.name, allowed=False, findings=(Finding("policy-fault", told, "(none)", 0),))


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
        f"the file is not a sound pickle: {finding.message} (byte {finding.position})",
        code=code,
        rule=finding.rule,
        opcode=finding.opcode,
        position=finding.position,
    )


def _configured(policy: OpcodePolicy, entries: tuple[str, ...]) -> OpcodePolicy:
    return policy.configured(entries) if isinstance(policy, ConfigurablePolicy) else policy


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model file that a confined process may load."""

    file: ModelFile
    allowed: tuple[str, ...]
    """The globals that its scan saw: what loading it may import."""
    metadata: ModelMetadata | None
    width: int | None
    """Numbers in one row, where metadata or the default feature version says so."""
    input_version: str
    """The feature version that rows are made from, as far as is known."""


class ModelFiles:
    """The model files, each checked before it is given out. Safe for threads.

    Args:
        settings: Folder, limits, mode and allowed hashes.
        policies: Every installed opcode policy by name.
        features: Every installed feature version by name.
        audit: Where audit mode records, if anywhere.

    Raises:
        InvalidSetting: The mode, a whitelist entry or an allowed hash cannot be.
    """

    def __init__(
        self,
        settings: Settings,
        policies: Mapping[str, OpcodePolicy],
        features: Mapping[str, FeatureVersion],
        audit: AuditStore | None,
    ) -> None:
        self._root: Path = settings.model_path
        self._max_bytes = settings.model_max_mb * 1024**2
        self._hashes = _checked_hashes(settings.allowed_model_hashes)
        self._gate = Gate(policies, settings.model_opcode_mode, settings.model_opcode_whitelist)
        self._features = features
        self._default_version = settings.feature_version
        self._audit = audit

    @property
    def mode(self) -> str:
        """The policy that decides."""
        return self._gate.mode

    def check(self, path: str, expected_sha256: str | None) -> CheckedFile:
        """Read and check one file of the model folder; every check sees the same bytes.

        Raises:
            CadmlError: With the code of the first check that failed.
        """
        file = read_model(self._root, path, self._max_bytes)
        if problem := magic_problem(file.data):
            raise ModelRejected(f"{path} is not a pickle: {problem}", code="MODEL_MAGIC_INVALID", path=path)
        self._check_hash(file, expected_sha256)
        report = self._judge(file)
        metadata = read_metadata(self._root, file)
        return CheckedFile(
            file=file,
            allowed=scanned_globals(report.scan),
            metadata=metadata,
            width=self._expected_width(metadata),
            input_version=metadata.feature_version if metadata else self._default_version,
        )

    def feature_version(self, checked: CheckedFile, dimension: int) -> str | None:
        """Return what a model was trained on; None where nothing says so and no version has its dimension.

        Raises:
            DimensionMismatch: The model takes rows of another length than its metadata says.
        """
        if checked.metadata is None:
            return self._version_of(dimension)
        if checked.width is not None and dimension != checked.width:
            raise DimensionMismatch(expected=checked.width, found=dimension, stage=_STAGE)
        return checked.metadata.feature_version

    def _check_hash(self, file: ModelFile, expected: str | None) -> None:
        if expected is not None and expected.lower() != file.sha256:
            raise ModelRejected(
                f"{file.path} has the sha256 {file.sha256}, not the one expected",
                code="MODEL_HASH_MISMATCH",
                expected=expected.lower(),
                found=file.sha256,
            )
        if self._hashes and file.sha256 not in self._hashes:
            raise ModelRejected(
                f"{file.path} has the sha256 {file.sha256}, which is not in ALLOWED_MODEL_HASHES;"
                " add it if this model is meant to be loaded",
                code="MODEL_HASH_MISMATCH",
                found=file.sha256,
                allowed=len(self._hashes),
            )

    def _judge(self, file: ModelFile) -> GateReport:
        report = self._gate.report(file.data)
        if report.verdict.advisory and not report.scan.malformed and self._audit is not None:
            self._audit.record(report.scan, report.others)
        if error := refusal(report):
            raise error
        return report

    def _expected_width(self, metadata: ModelMetadata | None) -> int | None:
        """Return the row length that the metadata or the default feature version asks for."""
        if metadata is None:
            default = self._features.get(self._default_version)
            return len(default.slots) if default is not None else None
        width = self._width(metadata.feature_version, metadata.input)
        if metadata.dimension is not None and metadata.dimension != width:
            raise DimensionMismatch(expected=width, found=metadata.dimension, stage=_STAGE)
        return width

    def _width(self, version: str, kind: InputKind) -> int:
        if version not in self._features:
            raise PluginUnavailable(
                f"the model was trained on the feature version {version!r}, which is not installed",
                name=version,
            )
        feature = self._features[version]
        if kind == "raw":
            return len(feature.slots)
        return int(embedded(feature, np.zeros((1, len(feature.slots)))).shape[1])

    def _version_of(self, dimension: int) -> str | None:
        """Return the only feature version of that many slots, the default first."""
        fitting = [name for name, feature in self._features.items() if len(feature.slots) == dimension]
        if self._default_version in fitting:
            return self._default_version
        return fitting[0] if len(fitting) == 1 else None


def _checked_hashes(hashes: tuple[str, ...]) -> frozenset[str]:
    for value in hashes:
        if not _SHA256.match(value.lower()):
            raise InvalidSetting(
                f"ALLOWED_MODEL_HASHES contains {value!r}, which is not a sha256 (64 hex digits)",
                setting="ALLOWED_MODEL_HASHES",
                value=value,
            )
    return frozenset(value.lower() for value in hashes)
