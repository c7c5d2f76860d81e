"""How a request to a worker ends where there is no answer."""

from __future__ import annotations

import os


class SandboxError(Exception):
    """There is no answer; the subclass says why."""


class StartFailed(SandboxError):
    """No worker can be started; the message says why."""


class Closed(SandboxError):
    """The workers were closed by their owner."""


class TimeLimitExceeded(SandboxError):
    """The worker did not answer in time."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output
        """The end of what it has printed."""


class ProtocolError(SandboxError):
    """The worker sent something that is not an answer."""


class WorkerDied(SandboxError):
    """The worker ended before it answered."""

    def __init__(self, status: int, grown: int, output: str) -> None:
        super().__init__(f"wait status {status}")
        self.exit_code = os.waitstatus_to_exitcode(status)
        """As in ``subprocess``: negative for a signal."""
        self.grown = grown
        """By how many bytes its memory had grown at its peak."""
        self.output = output
        """The end of what it printed."""


class RequestNotTaken(SandboxError):
    """The worker had ended before it took the request, which is therefore not the cause."""
