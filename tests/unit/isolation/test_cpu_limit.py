"""The processor time of one request."""

from __future__ import annotations

import resource

import pytest

from cadml_core.isolation.limits import allow_cpu


@pytest.fixture
def set_limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the process would have been limited to."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, bounds: calls.append(bounds))
    return calls


def test_is_on_top_of_what_was_used(set_limits: list[tuple[int, int]]) -> None:
    """The bound is in whole seconds and leaves at least the time wanted; the hard limit stays."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    allow_cpu(2.5)
    [(soft, hard)] = set_limits
    assert spent + 2.5 <= soft <= spent + 4.5
    assert hard == resource.getrlimit(resource.RLIMIT_CPU)[1]


def test_never_exceeds_the_hard_limit(
    set_limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the worker's whole life is limited, the bound of a request is not above it."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3, 3))
    allow_cpu(1e6)
    assert set_limits == [(3, 3)]
