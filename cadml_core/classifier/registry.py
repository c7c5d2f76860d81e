"""The model that serves: reload it while requests go on, roll it back, ask it; in one process or in all.

No model is ever loaded or asked in this process: each lives in a confined process of its own. No lock is held
while one is waited for, so a model that hangs delays nobody but who wants its answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np

from cadml_core.classifier.audit import AuditSnapshot, AuditStore
from cadml_core.classifier.choice import Choice, Choices, ModelInfo, OwnChoice, Quarantined
from cadml_core.classifier.failures import FailureLog
from cadml_core.classifier.gate import SECURITY_REASONS, ModelFiles
from cadml_core.classifier.messages import Predicted
from cadml_core.classifier.process import COMPLETED, NOT_STARTED, process_limits
from cadml_core.classifier.serving import ServingModels
from cadml_core.classifier.starting import ModelStarter, Samples
from cadml_core.clock import timestamp
from cadml_core.contracts.features import FeatureVersion, embedded
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import (
    AuditUnavailable,
    CadmlError,
    DimensionMismatch,
    ModelUnavailable,
    NotFound,
    Problem,
)
from cadml_core.metrics import model_quarantine_total, model_reload_total, model_security_fail_total
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

_GRACE_SECONDS = 0.25


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """What serves now, what could be rolled back to, and what went wrong last."""

    mode: str
    load_seq: int
    current: ModelInfo | None = None
    previous: ModelInfo | None = None
    process: Literal["none", "ready", "starting"] = "none"
    """Whether this server process can have answers of the current model now."""
    failures: int = 0
    """Failures of the current model here, in the last ten minutes."""
    quarantined: tuple[Quarantined, ...] = ()
    last_error: Problem | None = None


class Classification(msgspec.Struct, frozen=True):
    """The model's answer for one part."""

    label: str
    model_version: str
    probabilities: dict[str, float] | None = None


class ModelRegistry:
    """Keeps the processes of the chosen model and the one before it. Safe for threads.

    A reload that fails at any check leaves the serving model alone.

    Args:
        settings: Folder, limits, mode and allowed hashes.
        policies: Every installed opcode policy by name.
        features: Every installed feature version by name.
        audit: Where audit mode records; None makes ``audit()`` unavailable.
        clock: Seconds since the epoch.
        choices: Where the choice is kept; that of this process alone where None.
        samples: Values of stored parts, on which models are tried.

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
        choices: Choices | None = None,
        samples: Samples = lambda _version: None,
    ) -> None:
        self._files = ModelFiles(settings, policies, features, audit)
        self._features = features
        self._audit = audit
        self._clock = clock
        self._choices: Choices = choices or OwnChoice()
        self._limits = process_limits(settings)
        self._failures = FailureLog(settings.model_max_failures)
        self._starter = ModelStarter(self._files, features, self._limits, samples, self._count_failure)
        self._models = ServingModels()
        self._last_error: Problem | None = None

    @property
    def serving(self) -> ModelInfo | None:
        """The model that is asked now; where it is still being started here, the one that was chosen."""
        found = self._models.asked()
        return found.info if found else self._models.choice.current

    @property
    def answer_seconds(self) -> float:
        """How long to wait for an answer: a little longer than the model has, so that its end tells why."""
        return self._limits.predict_seconds + _GRACE_SECONDS

    def reload(self, path: str, expected_sha256: str | None = None) -> ModelInfo:
        """Replace the serving model by the file at this path, for every process on the catalogue.

        The checks, all on the same bytes: exists, size, magic, sha256, scan, policy; then, in a confined
        process that will serve it, restricted load and answers to rows of many kinds.

        Args:
            path: Inside the model folder.
            expected_sha256: 64 hex digits that the file must have.

        Raises:
            CadmlError: With the code of the first check that failed. The serving model stays.
        """
        try:
            serving = self._starter.start(path, expected_sha256)
            try:
                choice = self._choices.update(
                    lambda before: before.with_current(serving.info, before.current, self._now())
                )
            except BaseException:
                serving.process.close()
                raise
        except CadmlError as error:
            model_reload_total.labels(status="failure").inc()
            self._note_refusal(path, error)
            raise
        self._failures.forget(serving.info.sha256)
        self._last_error = None
        model_reload_total.labels(status="success").inc()
        self._models.settle(choice, serving)
        assert choice.current is not None
        log.info("model %s (%s) serves as number %d", path, choice.current.version, choice.load_seq)
        return choice.current

    def rollback(self) -> ModelInfo:
        """Let the previous good model serve again; the one it replaces can be rolled back to in turn.

        Raises:
            NotFound: No previous model is kept.
        """

        def change(before: Choice) -> Choice:
            if before.previous is None:
                raise NotFound("there is no previous model to go back to", stage="model_rollback")
            return before.with_current(before.previous, before.current, self._now())

        choice = self._choices.update(change)
        model_reload_total.labels(status="success").inc()
        self._last_error = None
        self._models.settle(choice)
        assert choice.current is not None
        return choice.current

    def classify(self, values: FloatVector) -> Future[Classification]:
        """Ask the serving model about one part. Never waits.

        Args:
            values: Raw values of the feature version that the model was trained on, see ``serving``.

        Returns:
            A future that fails with ``ModelUnavailable``; it can be cancelled until the model is asked.

        Raises:
            NotFound: No model is chosen.
            ModelUnavailable: It is still being started here.
            DimensionMismatch: The values have another length than the model takes.
        """
        serving = self._models.asked()
        if serving is None:
            if self._models.choice.current is None:
                raise NotFound("no model is loaded", stage="classify")
            raise ModelUnavailable("restarting")
        info = serving.info
        row: FloatMatrix = np.asarray(values, dtype=np.float64).reshape(1, -1)
        if info.input == "embedding" and info.feature_version is not None:
            row = embedded(self._features[info.feature_version], row).astype(np.float64)
        if row.shape[1] != info.dimension:
            raise DimensionMismatch(expected=info.dimension, found=row.shape[1], stage="classify")
        return serving.process.predict(row, lambda answer: _told(answer, info))

    def predict(self, values: FloatVector) -> Classification:
        """Classify one part, and wait for the answer as long as that may take.

        Raises:
            CadmlError: As ``classify``, and ``ModelUnavailable`` where there is no answer.
        """
        future = self.classify(values)
        try:
            return future.result(self.answer_seconds)
        except TimeoutError:
            future.cancel()
            raise ModelUnavailable("busy") from None

    def version(self) -> ModelState:
        """Return what should serve, and how that goes here."""
        choice, serving = self._models.choice, self._models.asked()
        current = choice.current
        ready = serving is not None and serving.info == current and serving.process.ready
        return ModelState(
            mode=self._files.mode,
            load_seq=choice.load_seq,
            current=current,
            previous=choice.previous,
            process="none" if current is None else "ready" if ready else "starting",
            failures=self._failures.count(current.sha256) if current else 0,
            quarantined=choice.quarantined,
            last_error=self._last_error,
        )

    def follow(self) -> ModelInfo | None:
        """Take over the newest choice, as far as no model must be started for it.

        Returns:
            The chosen model, where this process must start it; give it to ``adopt``.
        """
        choice = self._choices.get()
        if choice != self._models.choice:
            self._models.settle(choice)
        current = self._models.choice.current
        return current if current is not None and not self._models.holds(current) else None

    def adopt(self, info: ModelInfo) -> None:
        """Start a chosen model here, through the same checks as a reload; waits until it is loaded.

        Raises:
            CadmlError: As ``reload``. A model whose process died or hung counts as failed, and is quarantined
                after as many failures as one that serves.
        """
        try:
            serving = self._starter.start(info.path, info.sha256)
        except CadmlError as error:
            self._note_refusal(info.path, error)
            if error.context.get("trial") not in (None, COMPLETED, NOT_STARTED):
                self._count_failure(info, "start")
            raise
        self._models.settle(self._choices.get(), serving)

    def audit(self) -> AuditSnapshot:
        """Return what audit mode has recorded.

        Raises:
            AuditUnavailable: There is no audit store.
        """
        if self._audit is None:
            raise AuditUnavailable("the opcode audit was not set up")
        return self._audit.snapshot()

    def stop_loading(self) -> None:
        """Break off every reload that is under way, and refuse those to come."""
        self._starter.close()

    def close(self) -> None:
        """Kill every model's process, so that whoever waits for one fails, and write the audit."""
        self._starter.close()
        self._models.close()
        if self._audit is not None:
            self._audit.close()

    def _count_failure(self, info: ModelInfo, reason: str) -> None:
        """Note a failure of a model's process; take the model out of service where these are too many."""
        log.warning("the process of model %s (%s) failed: %s", info.path, info.version, reason)
        if not self._failures.add(info.sha256, reason):
            return
        failed = Quarantined(path=info.path, sha256=info.sha256, reason=reason, at=self._now())
        try:
            choice = self._choices.update(lambda before: before.without(failed))
        except CadmlError as error:  # the next failure tries again
            log.warning("model %s cannot be quarantined now: %s", info.path, error.message)
            return
        model_quarantine_total.inc()
        log.error("model %s (%s) is taken out of service: %s", info.path, info.version, reason)
        self._last_error = ModelUnavailable(reason).problem()
        self._models.settle(choice)

    def _note_refusal(self, path: str, error: CadmlError) -> None:
        self._last_error = error.problem()
        if reason := SECURITY_REASONS.get(error.code):
            model_security_fail_total.labels(reason=reason).inc()
        log.warning("model %s is not loaded: %s: %s", path, error.code, error.message)

    def _now(self) -> str:
        return timestamp(datetime.fromtimestamp(self._clock(), UTC))


def _told(answer: Predicted, info: ModelInfo) -> Classification:
    shares = dict(zip(info.labels, answer.probabilities, strict=False))
    return Classification(answer.label, info.version, shares or None)
