"""Every Prometheus collector of cadml. Each is exported, documented and recorded somewhere."""

from __future__ import annotations

import pickletools
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from cadml_core.errors import ERROR_CODES, MODEL_FAULTS

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_MICRO_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)

parse_latency_seconds = Histogram(
    "parse_latency_seconds", "Reading one file, in the worker.", ["format"], buckets=_SECONDS
)
parse_failures_total = Counter("parse_failures_total", "Files that could not be read.", ["format", "code"])
feature_extraction_latency_seconds = Histogram(
    "feature_extraction_latency_seconds",
    "Computing one feature vector from a document.",
    ["version"],
    buckets=_MICRO_SECONDS,
)
picture_latency_seconds = Histogram(
    "picture_latency_seconds", "Drawing one file, in the worker.", ["format"], buckets=_SECONDS
)
pictures_total = Counter(
    "pictures_total",
    "Pictures (own, file) and models that were drawn: made or failed.",
    ["kind", "result"],
)
for _kind in ("own", "file", "model"):  # so that the first of each is an increase
    for _result in ("made", "failed"):
        pictures_total.labels(kind=_kind, result=_result)
vector_query_latency_seconds = Histogram(
    "vector_query_latency_seconds", "One call of an index's search.", ["backend"], buckets=_MICRO_SECONDS
)
vector_index_size = Gauge(
    "vector_index_size",
    "Vectors in each index that is in use.",
    ["backend"],
    multiprocess_mode="livemax",
)
similarity_degraded_total = Counter(
    "similarity_degraded_total", "The vector index went out of service or came back.", ["event"]
)
degraded_duration_seconds = Gauge(
    "degraded_duration_seconds",
    "How long the fallback has been answering for the vector index; 0 while the index works.",
    multiprocess_mode="livemax",
)
faiss_recovery_attempts_total = Counter(
    "faiss_recovery_attempts_total", "Attempts to rebuild the vector index: success or failure.", ["result"]
)
feature_cache_hits_total = Counter("feature_cache_hits_total", "Lookups that the feature cache answered.")
feature_cache_miss_total = Counter("feature_cache_miss_total", "Lookups that it did not.")
feature_cache_evictions_total = Counter(
    "feature_cache_evictions_total", "Vectors that left the feature cache for want of room."
)
feature_cache_size = Gauge(
    "feature_cache_size", "Vectors in the feature caches of all processes.", multiprocess_mode="livesum"
)
feature_cache_prewarm_total = Counter(
    "feature_cache_prewarm_total",
    "Vectors that a prewarm meant to load: success, skipped, error.",
    ["result"],
)
for _result in ("success", "skipped", "error"):  # so that the first of each is an increase
    feature_cache_prewarm_total.labels(result=_result)
duplicate_runs_total = Counter(
    "duplicate_runs_total", "Searches for duplicates that ended: completed or cancelled.", ["status"]
)
duplicate_pairs_total = Counter(
    "duplicate_pairs_total", "Pairs of contents that searches for duplicates compared."
)
batch_similarity_parallel_savings_seconds = Histogram(
    "batch_similarity_parallel_savings_seconds",
    "What threads saved on one batch: the sum of the chunks' own times minus the time that passed.",
    buckets=_MICRO_SECONDS,
)
vector_migrate_total = Counter(
    "vector_migrate_total", "Vectors migrated: recomputed, by_name, or failed.", ["status"]
)
vector_migrate_dimension_delta = Histogram(
    "vector_migrate_dimension_delta",
    "Length after minus length before, of each migrated vector.",
    buckets=(-20, -15, -10, -5, -1, 0, 1, 5, 10, 15, 20, 50, 100),
)
plugin_load_failures_total = Counter("plugin_load_failures_total", "Plugins that failed to load.", ["plugin"])

model_opcode_audit_total = Counter(
    "model_opcode_audit_total", "Opcodes seen in audit mode, each as often as it occurs.", ["opcode"]
)
model_security_fail_total = Counter(
    "model_security_fail_total",
    "Models refused, by the process that a reload asked and by each that follows it: size_exceeded,"
    " magic_invalid, hash_mismatch, malformed, opcode_blocked, opcode_whitelist_violation.",
    ["reason"],
)
model_reload_total = Counter(
    "model_reload_total",
    "Reloads and rollbacks that operators asked for, however many processes follow: success or failure.",
    ["status"],
)
model_load_seq = Gauge(
    "model_load_seq", "Number of the model that serves; 0 for none.", multiprocess_mode="livemax"
)
model_prediction_latency_seconds = Histogram(
    "model_prediction_latency_seconds", "One answer of the model's process.", buckets=_MICRO_SECONDS
)
model_prediction_failures_total = Counter(
    "model_prediction_failures_total",
    "Failures of a model's process: timeout, died, memory, answer, start.",
    ["reason"],
)
model_quarantine_total = Counter(
    "model_quarantine_total", "Models that this process took out of service for their failures."
)
stress_memory_growth_ratio = Gauge(
    "stress_memory_growth_ratio",
    "Memory during a stress check (peak) and after it (end), over that before it; no server shows it.",
    ["phase"],
    multiprocess_mode="livemax",
)
analysis_requests_total = Counter(
    "analysis_requests_total",
    "Uploads analysed by the server: success or error. A form that is refused as a whole counts once.",
    ["status"],
)
analysis_errors_total = Counter(
    "analysis_errors_total", "Uploads that the server refused or could not analyse.", ["stage", "code"]
)
refused_connections_total = Counter(
    "refused_connections_total",
    "Connections that the server ended with an error before a request reached the application.",
    ["code"],
)

WITHDRAWN = -1.0
"""Value of a gauge that has none any more. Processes that share their metrics cannot remove a series, so the
server's ``/metrics`` leaves such series out."""

_READING = ("input", "parse")
"""Stages of what can be wrong with a file."""
_VALUES: dict[Counter, Iterable[str]] = {
    similarity_degraded_total: ("degraded", "restored"),
    faiss_recovery_attempts_total: ("success", "failure"),
    vector_migrate_total: ("recomputed", "by_name", "failed"),
    model_opcode_audit_total: [opcode.name for opcode in pickletools.opcodes],
    model_security_fail_total: (
        "size_exceeded",
        "magic_invalid",
        "hash_mismatch",
        "malformed",
        "opcode_blocked",
        "opcode_whitelist_violation",
    ),
    model_reload_total: ("success", "failure"),
    model_prediction_failures_total: sorted(MODEL_FAULTS),
    analysis_requests_total: ("success", "error"),
    refused_connections_total: (
        "HEADERS_TOO_LARGE",
        "HEADER_TIMEOUT",
        "INPUT_TIMEOUT",
        "INPUT_VALIDATION_FAILED",
        "TOO_MANY_CONNECTIONS",
    ),
}
"""Every value of the one label, where that follows from the code alone."""


def initialise(formats: Iterable[str], versions: Iterable[str], backends: Iterable[str]) -> None:
    """Make every series that can occur, at 0. One born at 1 hides its first event from ``increase()``.

    Args:
        formats: Names of the format adapters.
        versions: Names of the feature versions.
        backends: Names of the vector backends.
    """
    for counter, values in _VALUES.items():
        for value in values:
            counter.labels(value)
    of_files = [spec.code for spec in ERROR_CODES.values() if spec.stage in _READING]
    for name in formats:
        parse_latency_seconds.labels(name)
        picture_latency_seconds.labels(name)
    for name in (*formats, "unknown"):
        for code in (*of_files, "INTERNAL_ERROR"):
            parse_failures_total.labels(name, code)
    for version in versions:
        feature_extraction_latency_seconds.labels(version)
    for backend in backends:
        vector_query_latency_seconds.labels(backend)
    for stage, code in _analysis_errors():
        analysis_errors_total.labels(stage, code)


def _analysis_errors() -> Iterable[tuple[str, str]]:
    for spec in ERROR_CODES.values():
        if spec.stage in (*_READING, "catalogue", "plugins"):
            yield str(spec.stage), spec.code
    for stage in ("input", "analyze"):
        yield stage, "INPUT_VALIDATION_FAILED"
    for stage in ("parse", "analyze"):
        yield stage, "INTERNAL_ERROR"


__all__ = [
    "analysis_errors_total",
    "analysis_requests_total",
    "batch_similarity_parallel_savings_seconds",
    "degraded_duration_seconds",
    "duplicate_pairs_total",
    "duplicate_runs_total",
    "faiss_recovery_attempts_total",
    "feature_cache_evictions_total",
    "feature_cache_hits_total",
    "feature_cache_miss_total",
    "feature_cache_prewarm_total",
    "feature_cache_size",
    "feature_extraction_latency_seconds",
    "model_load_seq",
    "model_opcode_audit_total",
    "model_prediction_failures_total",
    "model_prediction_latency_seconds",
    "model_quarantine_total",
    "model_reload_total",
    "model_security_fail_total",
    "parse_failures_total",
    "parse_latency_seconds",
    "picture_latency_seconds",
    "pictures_total",
    "plugin_load_failures_total",
    "refused_connections_total",
    "similarity_degraded_total",
    "stress_memory_growth_ratio",
    "vector_index_size",
    "vector_migrate_dimension_delta",
    "vector_migrate_total",
    "vector_query_latency_seconds",
]
