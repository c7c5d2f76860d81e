"""Every Prometheus collector of cadml. Each is exported, documented and recorded somewhere."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

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
vector_query_latency_seconds = Histogram(
    "vector_query_latency_seconds", "One call of an index's search.", ["backend"], buckets=_MICRO_SECONDS
)
vector_index_size = Gauge(
    "vector_index_size", "Vectors in the index.", ["backend"], multiprocess_mode="livemax"
)
plugin_load_failures_total = Counter("plugin_load_failures_total", "Plugins that failed to load.", ["plugin"])

__all__ = [
    "feature_extraction_latency_seconds",
    "parse_failures_total",
    "parse_latency_seconds",
    "plugin_load_failures_total",
    "vector_index_size",
    "vector_query_latency_seconds",
]
