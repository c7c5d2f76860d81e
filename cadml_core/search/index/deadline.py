"""Call what may hang, and go on without it when it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def call_within(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    """Return what the function returns, or raise what it raises.

    Python cannot stop a thread, so a call that hangs is left behind on a daemon thread; the
    caller must not use what it worked on again.

    Args:
        seconds: How long to wait.
        function: What to call.
        arguments: What it takes.

    Raises:
        TimeoutError: It did not return in time.
    """
    outcome: list[Any] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.extend((True, function(*arguments)))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            outcome.extend((False, error))
        done.set()

    threading.Thread(target=run, name="cadml-index-call", daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError(f"no answer within {seconds:g} s")
    succeeded, value = outcome
    if not succeeded:
        raise value
    result: T = value
    return result
