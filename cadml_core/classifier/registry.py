"""The model that serves: reload it while requests go on, roll it back, ask it."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from cadml_core.classifier.audit import AuditSnapshot, AuditStore, timestamp
from cadml_core.classifier.files import ModelFile, read_model
from cadml_core.classifier.gate import Gate, GateReport, refusal
from cadml_core.classifier.interface import InterfaceProblem, ask, probe
from cadml_core.classifier.metadata import InputKind, ModelMetadata, read_metadata
from cadml_core.classifier.trial import TrialReport, try_model
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import (
    AuditUnavailable,
    CadmlError,
    DimensionMismatch,
    InvalidSetting,
    ModelRejected,
    NotFound,
    PluginUnavailable,
    Problem,
)
from cadml_core.metrics import model_load_seq, model_reload_total, model_security_fail_total
from cadml_core.pickles.grammar import magic_problem
from cadml_core.pickles.loader import load_restricted, scanned_globals
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

_STAGE = "model_reload"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_KEPT_TRIALS = 64
_SECURITY_REASONS = {
    "MODEL_SIZE_EXCEEDED": "size_exceeded",
    "MODEL_MAGIC_INVALID": "magic_invalid",
    "MODEL_HASH_MISMATCH": "hash_mismatch",
    "MODEL_MALFORMED": "malformed",
    "MODEL_OPCODE_BLOCKED": "opcode_blocked",
    "OPCODE_WHITELIST_VIOLATION": "opcode_whitelist_violation",
}
Trial = Callable[[bytes, tuple[str, ...], int | None], TrialReport]


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded model."""

    path: str
    """Relative to the model folder."""
    sha256: str
    size: int
    version: str
    """The first 12 digits of the sha256: what answers cite."""
    load_seq: int
    loaded_at: str
    mode: str
    """The policy that let it in."""
    model_type: str
    dimension: int
    """Numbers in one row of its input."""
    feature_version: str | None = None
    """What it was trained on; None where nothing says so and no installed version has its dimension."""
    input: InputKind = "raw"
    labels: tuple[str, ...] = ()
    accuracy: float | None = None
    warnings: tuple[str, ...] = ()


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """What serves now, what could be rolled back to, and what went wrong last."""

    mode: str
    load_seq: int
    current: ModelInfo | None = None
    previous: ModelInfo | None = None
    last_error: Problem | None = None


class Classification(msgspec.Struct, frozen=True):
    """The model's answer for one part."""

    label: str
    model_version: str
    probabilities: dict[str, float] | None = None


class _Serving(msgspec.Struct, frozen=True):
    info: ModelInfo
    model: Any


class ModelRegistry:
    """Holds at most one serving model and the one before it. Safe for threads.

    A reload that fails at any check leaves the serving model alone. Predictions take no lock: they use
    whichever model serves when they begin.

    Args:
        settings: Folder, limits, mode and allowed hashes.
        policies: Every installed opcode policy by name.
        features: Every installed feature version by name.
        audit: Where audit mode records; None makes ``audit()`` unavailable.
        clock: Seconds since the epoch.
        trial: Loads and probes bytes elsewhere first.

    Raises:
        InvalidSetting: The mode, a whitelist entry or an allowed hash cannot be.
    """

    def __init__(
        self,
        settings: Settings,
        policies: Mapping[str, OpcodePolicy],
        features: Mapping[str, FeatureVersion],
        *,
        audit: AuditStore | None = None,
        clock: Callable[[], float] = time.time,
        trial: Trial = try_model,
    ) -> None:
        self._root = settings.model_path
        self._max_bytes = settings.model_max_mb * 1024**2
        self._hashes = _checked_hashes(settings.allowed_model_hashes)
        self._gate = Gate(policies, settings.model_opcode_mode, settings.model_opcode_whitelist)
        self._features = features
        self._default_version = settings.feature_version
        self._audit = audit
        self._clock = clock
        self._trial = trial
        self._trials: OrderedDict[tuple[str, int | None], TrialReport | ModelRejected] = OrderedDict()
        self._lock = threading.Lock()
        self._load_seq = 0
        self._number: Callable[[ModelInfo, int], int] = lambda _info, last: last + 1
        self._current: _Serving | None = None
        self._previous: _Serving | None = None
        self._last_error: Problem | None = None

    def number_with(self, number: Callable[[ModelInfo, int], int]) -> None:
        """Let another give out ``load_seq``: it gets the new model and this process's last number, and
        returns a larger one. What it raises fails the reload."""
        self._number = number

    def reload(self, path: str, expected_sha256: str | None = None) -> ModelInfo:
        """Replace the serving model by the file at this path.

        The checks, all on the same bytes: exists, size, magic, sha256, scan, policy, trial in a child
        process, restricted load, ``predict``.

        Args:
            path: Inside the model folder.
            expected_sha256: 64 hex digits that the file must have.

        Raises:
            CadmlError: With the code of the first check that failed. The serving model stays.
        """
        with self._lock:
            try:
                serving = self._load(path, expected_sha256)
                return self._commit(serving, self._number(serving.info, self._load_seq))
            except CadmlError as error:
                self._failed(error, path)
                raise

    def adopt(self, path: str, sha256: str, load_seq: int) -> ModelInfo:
        """Load what another process serves under that number; the checks are those of ``reload``.

        Raises:
            CadmlError: As ``reload``.
        """
        with self._lock:
            if self._current is not None and load_seq <= self._load_seq:  # a reload was faster
                return self._current.info
            try:
                return self._commit(self._load(path, sha256), load_seq)
            except CadmlError as error:
                self._failed(error, path)
                raise

    def rollback(self) -> ModelInfo:
        """Let the previous good model serve again; the one it replaces can be rolled back to in turn.

        Raises:
            NotFound: No previous model is kept.
        """
        with self._lock:
            if self._previous is None:
                raise NotFound("there is no previous model to go back to", stage="model_rollback")
            return self._commit(self._previous, self._number(self._previous.info, self._load_seq))

    def predict(self, values: FloatVector) -> Classification:
        """Classify one part.

        Args:
            values: Raw values of the feature version that the model was trained on, see ``version()``.

        Raises:
            NotFound: No model is loaded.
            DimensionMismatch: The values have another length than the model takes.
            ModelRejected: The model raises, or answers no label.
        """
        serving = self._current
        if serving is None:
            raise NotFound("no model is loaded", stage="classify")
        row = self._row(serving.info, np.asarray(values, dtype=np.float64).reshape(1, -1))
        try:
            answer = ask(serving.model, row)
        except InterfaceProblem as problem:
            raise ModelRejected(
                f"the serving model gives no answer: {problem}", code="MODEL_INTERFACE_INVALID"
            ) from None
        return Classification(answer.label, serving.info.version, answer.probabilities)

    @property
    def serving(self) -> ModelInfo | None:
        """The model that serves now."""
        return self._current.info if self._current else None

    def version(self) -> ModelState:
        """Return what serves now."""
        return ModelState(
            mode=self._gate.mode,
            load_seq=self._load_seq,
            current=self._current.info if self._current else None,
            previous=self._previous.info if self._previous else None,
            last_error=self._last_error,
        )

    def audit(self) -> AuditSnapshot:
        """Return what audit mode has recorded.

        Raises:
            AuditUnavailable: There is no audit store.
        """
        if self._audit is None:
            raise AuditUnavailable("the opcode audit was not set up")
        return self._audit.snapshot()

    def close(self) -> None:
        """Write the audit; closing twice is allowed."""
        if self._audit is not None:
            self._audit.close()

    # Loading

    def _load(self, path: str, expected_sha256: str | None) -> _Serving:
        file = read_model(self._root, path, self._max_bytes)
        if problem := magic_problem(file.data):
            raise ModelRejected(f"{path} is no pickle: {problem}", code="MODEL_MAGIC_INVALID", path=path)
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
        info = self._describe(file, model, dimension, metadata, trial.warnings)
        return _Serving(info, model)

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
                f"{file.path} has the sha256 {file.sha256}, which ALLOWED_MODEL_HASHES does not hold;"
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
                if error.context.get("trial") != "exit 0":  # died or ran out of time: may go well next time
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

    def _describe(
        self,
        file: ModelFile,
        model: Any,
        dimension: int,
        metadata: ModelMetadata | None,
        warnings: tuple[str, ...],
    ) -> ModelInfo:
        return ModelInfo(
            path=file.path,
            sha256=file.sha256,
            size=len(file.data),
            version=file.sha256[:12],
            load_seq=0,
            loaded_at="",
            mode=self._gate.mode,
            model_type=f"{type(model).__module__}.{type(model).__name__}",
            dimension=dimension,
            feature_version=metadata.feature_version if metadata else self._version_of(dimension),
            input=metadata.input if metadata else "raw",
            labels=_labels(model),
            accuracy=metadata.accuracy if metadata else None,
            warnings=warnings,
        )

    def _version_of(self, dimension: int) -> str | None:
        """Return the only feature version of that many slots, the default first."""
        fitting = [name for name, feature in self._features.items() if len(feature.slots) == dimension]
        if self._default_version in fitting:
            return self._default_version
        return fitting[0] if len(fitting) == 1 else None

    def _row(self, info: ModelInfo, row: Any) -> Any:
        if info.input == "embedding" and info.feature_version is not None:
            row = self._features[info.feature_version].embed(row)
        if row.shape[1] != info.dimension:
            raise DimensionMismatch(expected=info.dimension, found=row.shape[1], stage="classify")
        return row

    # Bookkeeping, under the lock

    def _commit(self, serving: _Serving, load_seq: int) -> ModelInfo:
        self._load_seq = load_seq
        info = msgspec.structs.replace(
            serving.info, load_seq=self._load_seq, loaded_at=timestamp(self._clock())
        )
        self._previous = self._current
        self._current = _Serving(info, serving.model)
        self._last_error = None
        model_load_seq.set(self._load_seq)
        model_reload_total.labels(status="success").inc()
        log.info("model %s (%s) serves as number %d", info.path, info.version, info.load_seq)
        return info

    def _failed(self, error: CadmlError, path: str) -> None:
        self._last_error = error.problem()
        model_reload_total.labels(status="failure").inc()
        if reason := _SECURITY_REASONS.get(error.code):
            model_security_fail_total.labels(reason=reason).inc()
        log.warning("model %s is not loaded: %s: %s", path, error.code, error.message)


def _load(data: bytes, allowed: tuple[str, ...]) -> Any:
    try:
        return load_restricted(data, allowed)
    # The trial loaded these very bytes, yet a stranger's code may behave otherwise here.
    except Exception as error:  # noqa: BLE001
        raise ModelRejected(f"loading raises {type(error).__name__}: {str(error)[:300]}") from None


def _probed(model: Any, width: int | None) -> int:
    try:
        return probe(model, width)
    except InterfaceProblem as problem:
        raise ModelRejected(
            f"the object cannot serve as a model: {problem}", code="MODEL_INTERFACE_INVALID"
        ) from None


def _labels(model: Any) -> tuple[str, ...]:
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) > 10_000:
        return ()
    return tuple(map(str, classes))


def _checked_hashes(hashes: tuple[str, ...]) -> frozenset[str]:
    for value in hashes:
        if not _SHA256.match(value.lower()):
            raise InvalidSetting(
                f"ALLOWED_MODEL_HASHES holds {value!r}, which is no sha256 (64 hex digits)",
                setting="ALLOWED_MODEL_HASHES",
                value=value,
            )
    return frozenset(value.lower() for value in hashes)
