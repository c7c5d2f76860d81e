"""What a worker does with a request: the one thing that differs between readers and model trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Program(Protocol):
    """The work of a kind of worker. It is sent to the fork server by pickle: its class is found by name."""

    def prepare(self) -> Sequence[str]:
        """Import, in the fork server and once, what every worker should find imported.

        Returns:
            Warnings, which the host logs. What is raised here fails the start.
        """

    def answer(self, request: bytes) -> bytes:
        """Answer one request, in a worker.

        Raises:
            CadmlError: The request is refused; the error is raised again in the host. Anything else that
                is raised arrives there as an INTERNAL_ERROR.
        """
