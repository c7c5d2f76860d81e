"""Errors that name what is to blame: the object of a plugin, the module it comes from, and the member."""

from __future__ import annotations

from cadml_core.errors import CadmlError


def broken(kind: str, item: object, member: str, fault: str, *, stage: str) -> CadmlError:
    """Return the error for an object that breaks its contract.

    Args:
        kind: What it is: ``feature version``, ``opcode policy``.
        item: The object, which has a ``name``.
        member: The member that broke its promise.
        fault: What it did: "returned shape (3,), expected (1,)".
        stage: The operation, for the error.
    """
    name, module = getattr(item, "name", "?"), type(item).__module__.partition(".")[0]
    return CadmlError(
        f"the {kind} {name} ({module}): {member} {fault}; report this to its authors",
        stage=stage,
        kind=kind,
        name=name,
        module=module,
        member=member,
    )


def raised(error: BaseException) -> str:
    """Say what third-party code raised."""
    return f"raised {type(error).__name__}: {error}"
