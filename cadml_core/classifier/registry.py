"""The model that serves: reload it while requests go on, roll it back, ask it; in one process or in all.

A reload or rollback in one process is noted in the catalogue; the others load the same file, by path and
sha256, through the same checks. A restarted server finds the model it had.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from cadml_core.catalog.state import OperatorState
from cadml_core.classifier.audit import AuditSnapshot, AuditStore
from cadml_core.classifier.files import InputKind
from cadml_core.classifier.gate import SECURITY_REASONS, CheckedModel, ModelLoader, Trial
from cadml_core.classifier.interface import InterfaceProblem, ask
from cadml_core.classifier.trial import try_model
from cadml_core.clock import timestamp
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import (
    AuditUnavailable,
    CadmlError,
    DimensionMismatch,
    ModelRejected,
    NotFound,
    Problem,
)
from cadml_core.metrics import model_load_seq, model_reload_total, model_security_fail_total
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

_STATE = "model"  # its name among the operators' choices in the catalogue
_POLL_SECONDS = 1.0


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


class _Serving(NamedTuple):
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
        self._loader = ModelLoader(settings, policies, features, audit, trial)
        self._features = features
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._load_seq = 0
        self._number: Callable[[ModelInfo, int], int] = lambda _info, last: last + 1
        self._current: _Serving | None = None
        self.serving: ModelInfo | None = None
        """The model that serves now."""
        self._previous: _Serving | None = None
        self._last_error: Problem | None = None

    def number_with(self, number: Callable[[ModelInfo, int], int]) -> None:
        """Set what gives out ``load_seq``: called with the new model and this process's last number, it
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
        with self._replacing(path):
            serving = self._describe(self._loader.load(path, expected_sha256))
            return self._commit(serving, self._number(serving.info, self._load_seq))

    def adopt(self, path: str, sha256: str, load_seq: int) -> ModelInfo:
        """Load what another process serves under that number; the checks are those of ``reload``.

        Raises:
            CadmlError: As ``reload``.
        """
        with self._replacing(path):
            if self._current is not None and load_seq <= self._load_seq:  # a reload was faster
                return self._current.info
            return self._commit(self._describe(self._loader.load(path, sha256)), load_seq)

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
            ModelRejected: The model raises, or does not answer one label.
        """
        serving = self._current  # read once: a reload may replace it meanwhile
        if serving is None:
            raise NotFound("no model is loaded", stage="classify")
        info = serving.info
        row: FloatMatrix = np.asarray(values, dtype=np.float64).reshape(1, -1)
        if info.input == "embedding" and info.feature_version is not None:
            row = self._features[info.feature_version].embed(row)
        if row.shape[1] != info.dimension:
            raise DimensionMismatch(expected=info.dimension, found=row.shape[1], stage="classify")
        try:
            answer = ask(serving.model, row)
        except InterfaceProblem as problem:
            raise ModelRejected(
                f"the serving model gives no answer: {problem}", code="MODEL_INTERFACE_INVALID"
            ) from None
        return Classification(answer.label, info.version, answer.probabilities)

    def version(self) -> ModelState:
        """Return what serves now."""
        return ModelState(
            mode=self._loader.mode,
            load_seq=self._load_seq,
            current=self.serving,
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

    def _describe(self, checked: CheckedModel) -> _Serving:
        file, metadata = checked.file, checked.metadata
        info = ModelInfo(
            path=file.path,
            sha256=file.sha256,
            size=len(file.data),
            version=file.sha256[:12],
            load_seq=0,
            loaded_at="",
            mode=self._loader.mode,
            model_type=f"{type(checked.model).__module__}.{type(checked.model).__name__}",
            dimension=checked.dimension,
            feature_version=checked.feature_version,
            input=metadata.input if metadata else "raw",
            labels=checked.labels,
            accuracy=metadata.accuracy if metadata else None,
            warnings=checked.warnings,
        )
        return _Serving(info, checked.model)

    @contextmanager
    def _replacing(self, path: str) -> Iterator[None]:
        """Hold the lock while the model is replaced, and record what prevents that."""
        with self._lock:
            try:
                yield
            except CadmlError as error:
                self._last_error = error.problem()
                model_reload_total.labels(status="failure").inc()
                if reason := SECURITY_REASONS.get(error.code):
                    model_security_fail_total.labels(reason=reason).inc()
                log.warning("model %s is not loaded: %s: %s", path, error.code, error.message)
                raise

    def _commit(self, serving: _Serving, load_seq: int) -> ModelInfo:
        now = timestamp(datetime.fromtimestamp(self._clock(), UTC))
        info = msgspec.structs.replace(serving.info, load_seq=load_seq, loaded_at=now)
        self._load_seq = load_seq
        self._previous = self._current
        self._current = _Serving(info, serving.model)
        self.serving = info
        self._last_error = None
        model_load_seq.set(load_seq)
        model_reload_total.labels(status="success").inc()
        log.info("model %s (%s) serves as number %d", info.path, info.version, info.load_seq)
        return info


class ActiveModel(msgspec.Struct, frozen=True):
    """What all processes should serve."""

    path: str
    sha256: str
    load_seq: int


class SharedModels:
    """A process's model registry, kept equal to what operators chose in whichever process.

    A reload or rollback is noted in the catalogue as part of it: if that fails, so does the reload.
    """

    def __init__(self, registry: ModelRegistry, state: OperatorState) -> None:
        self.registry = registry
        self._state = state
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._refused: ActiveModel | None = None
        """What this process could not load, so that it is not tried every second."""
        registry.number_with(self._note)

    def follow(self) -> None:
        """Load what another process chose; a failure is logged, recorded and leaves the model alone."""
        wanted = self._state.get(_STATE, ActiveModel)
        if wanted is None or wanted == self._refused or wanted.load_seq <= self.registry.version().load_seq:
            return
        try:
            self.registry.adopt(wanted.path, wanted.sha256, wanted.load_seq)
        except CadmlError as error:
            self._refused = wanted
            log.warning("this process cannot load the active model %s: %s", wanted.path, error.message)

    def start_following(self) -> None:
        """Follow once, then in the background until ``close``."""
        self._try_to_follow()
        self._thread = threading.Thread(target=self._follow_regularly, name="cadml-models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following and write the audit; closing twice is allowed."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.registry.close()

    def _follow_regularly(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self._try_to_follow()

    def _try_to_follow(self) -> None:
        try:
            self.follow()
        except CadmlError as error:
            log.warning("the active model is not known now: %s", error.message)

    def _note(self, info: ModelInfo, load_seq: int) -> int:
        """Number a reload among those of all processes, and tell them."""

        def change(before: ActiveModel | None) -> ActiveModel:
            newest = max(load_seq, before.load_seq if before else 0)
            return ActiveModel(info.path, info.sha256, newest + 1)

        return self._state.update(_STATE, ActiveModel, change).load_seq
