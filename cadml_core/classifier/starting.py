"""Start the process of a model: check its file, have it loaded there, and try it on rows of many kinds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np

from cadml_core.classifier.choice import ModelInfo
from cadml_core.classifier.gate import CheckedFile, ModelFiles
from cadml_core.classifier.messages import Loaded, LoadJob, row_bytes
from cadml_core.classifier.process import NOT_STARTED, ModelProcess, ProcessLimits
from cadml_core.classifier.rows import trial_rows
from cadml_core.classifier.serving import Serving
from cadml_core.contracts.features import FeatureVersion, embedded
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.errors import ModelRejected

Samples = Callable[[str], FloatMatrix | None]
"""Raw values of some stored parts for a feature version, (n, slots); None where there are none."""


class ModelStarter:
    """Starts processes of models. Safe for threads.

    Args:
        files: Checks the file first.
        features: Every installed feature version by name.
        limits: What a model may cost.
        samples: Values of stored parts, on which models are tried.
        failed: Told of each failure of a process that was started: the model, and the reason.
    """

    def __init__(
        self,
        files: ModelFiles,
        features: Mapping[str, FeatureVersion],
        limits: ProcessLimits,
        samples: Samples,
        failed: Callable[[ModelInfo, str], None],
    ) -> None:
        self._files = files
        self._features = features
        self._limits = limits
        self._samples = samples
        self._failed = failed
        self._lock = threading.Lock()
        self._starting: set[ModelProcess] = set()
        self._closed = False

    def start(self, path: str, sha256: str | None) -> Serving:
        """Check a file and have a new process load it; waits until it has been tried.

        Raises:
            CadmlError: With the code of the first check that failed.
        """
        checked = self._files.check(path, sha256)
        told: list[ModelInfo] = []
        process = ModelProcess(self._job(checked), self._limits, lambda reason: self._failed(told[0], reason))
        try:
            self._begin(process)
            info = self._described(checked, process.load())
        except BaseException:
            process.close()
            raise
        finally:
            with self._lock:
                self._starting.discard(process)
        told.append(info)
        return Serving(info, process)

    def close(self) -> None:
        """Kill what is being started, and start nothing more."""
        with self._lock:
            self._closed = True
            processes = list(self._starting)
        for process in processes:
            process.close()

    def _begin(self, process: ModelProcess) -> None:
        with self._lock:
            if self._closed:
                raise ModelRejected("no model is loaded while the server stops", trial=NOT_STARTED)
            self._starting.add(process)

    def _job(self, checked: CheckedFile) -> LoadJob:
        """Put together what the process needs, the rows to try the model on included."""
        seed = int(checked.file.sha256[:8], 16)
        rows = b""
        if checked.width is not None:
            rows = row_bytes(trial_rows(checked.width, seed, self._stored(checked)))
        return LoadJob(checked.file.data, checked.allowed, checked.width, rows, seed)

    def _stored(self, checked: CheckedFile) -> FloatMatrix | None:
        """Return rows of stored parts as the model would get them."""
        stored = self._samples(checked.input_version)
        if stored is None or checked.metadata is None or checked.metadata.input == "raw":
            return stored
        return embedded(self._features[checked.input_version], stored).astype(np.float64)

    def _described(self, checked: CheckedFile, loaded: Loaded) -> ModelInfo:
        file, metadata = checked.file, checked.metadata
        return ModelInfo(
            path=file.path,
            sha256=file.sha256,
            size=len(file.data),
            version=file.sha256[:12],
            load_seq=0,
            loaded_at="",
            mode=self._files.mode,
            model_type=loaded.model_type,
            dimension=loaded.width,
            feature_version=self._files.feature_version(checked, loaded.width),
            input=metadata.input if metadata else "raw",
            labels=loaded.labels,
            accuracy=metadata.accuracy if metadata else None,
            warnings=loaded.warnings,
        )
