"""Every check between a model file and a model that may serve: hash, scan, policy, trial, restricted load."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cadml_core.classifier.audit import AuditStore
from cadml_core.classifier.files import InputKind, ModelFile, ModelMetadata, read_metadata, read_model
from cadml_core.classifier.interface import InterfaceProblem, probe
from cadml_core.classifier.trial import COMPLETED, TrialReport
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.policies import ConfigurablePolicy, Finding, OpcodePolicy, PickleScan, Verdict
from cadml_core.errors import DimensionMismatch, InvalidSetting, ModelRejected, PluginUnavailable
from cadml_core.pickles.grammar import magic_problem
from cadml_core.pickles.loader import load_restricted, scanned_globals
from cadml_core.pickles.scan import scan_pickle
from cadml_core.settings import Settings

_STAGE = "model_reload"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_KEPT_TRIALS = 64
SECURITY_REASONS = {
    "MODEL_SIZE_EXCEEDED": "size_exceeded",
    "MODEL_MAGIC_INVALID": "magic_invalid",
    "MODEL_HASH_MISMATCH": "hash_mismatch",
    "MODEL_MALFORMED": "malformed",
    "MODEL_OPCODE_BLOCKED": "opcode_blocked",
    "OPCODE_WHITELIST_VIOLATION": "opcode_whitelist_violation",
}
"""Error code -> what ``model_security_fail_total`` calls the check that failed."""

Trial = Callable[[bytes, tuple[str, ...], int | None], TrialReport]
"""Loads and probes a model elsewhere: its bytes, the globals it may import, the length of a row."""


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
        f"the file is not a sound pickle: {finding.message} (byte {finding.position})",
        code=code,
        rule=finding.rule,
        opcode=finding.opcode,
        position=finding.position,
    )


def _configured(policy: OpcodePolicy, entries: tuple[str, ...]) -> OpcodePolicy:
    return policy.configured(entries) if isinstance(policy, ConfigurablePolicy) else policy


class CheckedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that passed every check."""

    file: ModelFile
    model: Any
    dimension: int
    """Numbers in one row of its input."""
    feature_version: str | None
    """What it was trained on; None where nothing says so and no installed version has its dimension."""
    metadata: ModelMetadata | None
    warnings: tuple[str, ...]
    """What its trial warned of."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it can answer, empty where it does not say or there are too many to list."""
        classes = getattr(self.model, "classes_", None)
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) > 10_000:
            return ()
        return tuple(map(str, classes))


class ModelLoader:
    """Loads model files, each only after every check. Not safe for threads.

    Args:
        settings: Folder, limits, mode and allowed hashes.
        policies: Every installed opcode policy by name.
        features: Every installed feature version by name.
        audit: Where audit mode records, if anywhere.
        trial: Loads and probes bytes elsewhere first.

    Raises:
        InvalidSetting: The mode, a whitelist entry or an allowed hash cannot be.
    """

    def __init__(
        self,
        settings: Settings,
        policies: Mapping[str, OpcodePolicy],
        features: Mapping[str, FeatureVersion],
        audit: AuditStore | None,
        trial: Trial,
    ) -> None:
        self._root: Path = settings.model_path
        self._max_bytes = settings.model_max_mb * 1024**2
        self._hashes = _checked_hashes(settings.allowed_model_hashes)
        self._gate = Gate(policies, settings.model_opcode_mode, settings.model_opcode_whitelist)
        self._features = features
        self._default_version = settings.feature_version
        self._audit = audit
        self._trial = trial
        self._trials: OrderedDict[tuple[str, int | None], TrialReport | ModelRejected] = OrderedDict()

    @property
    def mode(self) -> str:
        """The policy that decides."""
        return self._gate.mode

    def load(self, path: str, expected_sha256: str | None) -> CheckedModel:
        """Read, check and load one file of the model folder; every check sees the same bytes.

        Raises:
            CadmlError: With the code of the first check that failed.
        """
        file = read_model(self._root, path, self._max_bytes)
        if problem := magic_problem(file.data):
            raise ModelRejected(f"{path} is not a pickle: {problem}", code="MODEL_MAGIC_INVALID", path=path)
        self._check_hash(file, expected_sha256)
        report = self._judge(file)
        metadata = read_metadata(self._root, file)
        width = self._expected_width(metadata)
        allowed = scanned_globals(report.scan)
        trial = self._tried(file, allowed, width)
        model = _load(file.data, allowed)
        dimension = _probed(model, width)
        if metadata is not None and width is not None and dimension != width:
            raise DimensionMismatch(expected=width, found=dimension, stage=_STAGE)
        version = metadata.feature_version if metadata else self._version_of(dimension)
        return CheckedModel(
            file=file,
            model=model,
            dimension=dimension,
            feature_version=version,
            metadata=metadata,
            warnings=trial.warnings,
        )

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

    def _tried(self, file: ModelFile, allowed: tuple[str, ...], width: int | None) -> TrialReport:
        """Run the trial, or remember how it ended for the same bytes."""
        key = (file.sha256, width)
        known = self._trials.get(key)
        if known is None:
            try:
                known = self._trial(file.data, allowed, width)
            except ModelRejected as error:
                if (
                    error.context.get("trial") != COMPLETED
                ):  # it died or ran out of time: may succeed next time
                    raise
                known = error
            self._trials[key] = known
            if len(self._trials) > _KEPT_TRIALS:
                self._trials.popitem(last=False)
        if isinstance(known, ModelRejected):
            raise ModelRejected(known.message, code=known.code, **known.context)
        return known

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
        return int(feature.embed(np.zeros((1, len(feature.slots)))).shape[1])

    def _version_of(self, dimension: int) -> str | None:
        """Return the only feature version of that many slots, the default first."""
        fitting = [name for name, feature in self._features.items() if len(feature.slots) == dimension]
        if self._default_version in fitting:
            return self._default_version
        return fitting[0] if len(fitting) == 1 else None


def _load(data: bytes, allowed: tuple[str, ...]) -> Any:
    try:
        return load_restricted(data, allowed)
    # The trial loaded these very bytes, yet third-party code may behave otherwise here.
    except Exception as error:  # noqa: BLE001
        raise ModelRejected(f"loading raises {type(error).__name__}: {str(error)[:300]}") from None


def _probed(model: Any, width: int | None) -> int:
    try:
        return probe(model, width)
    except InterfaceProblem as problem:
        raise ModelRejected(
            f"the object cannot serve as a model: {problem}", code="MODEL_INTERFACE_INVALID"
        ) from None


def _checked_hashes(hashes: tuple[str, ...]) -> frozenset[str]:
    for value in hashes:
        if not _SHA256.match(value.lower()):
            raise InvalidSetting(
                f"ALLOWED_MODEL_HASHES contains {value!r}, which is not a sha256 (64 hex digits)",
                setting="ALLOWED_MODEL_HASHES",
                value=value,
            )
    return frozenset(value.lower() for value in hashes)
