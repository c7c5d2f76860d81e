"""What estimators hold one another: without circles, and not so often that one answer takes forever."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from cadml_core import Made
from cadml_plugins.policies._arrays import made_label

MOST_ESTIMATORS = 1_000_000
"""How many estimators one answer may ask, shared ones counted every time."""
_FOLLOWED = "sklearn."
_LINKED = frozenset({"sklearn.cluster._birch:_CFNode", "sklearn.cluster._birch:_CFSubcluster"})
_OPEN = -1
_COST = 400


def circles(objects: Iterable[Made], spend: Callable[[int], None]) -> Iterator[tuple[Made, str]]:
    """Yield objects that hold themselves, or that unfold to too many.

    Args:
        objects: What the pickle makes.
        spend: Is told what this costs, in bytes looked at in the same time.
    """
    weights: dict[int, int] = {}
    for found in objects:
        if _is_followed(found) and _weigh(found, weights, spend) is None:
            yield found, "it holds itself, or more estimators than one answer can ask"
            return


def _is_followed(value: Any) -> bool:
    return (made_label(value) or "").startswith(_FOLLOWED) and made_label(value) not in _LINKED


def _weigh(root: Made, weights: dict[int, int], spend: Callable[[int], None]) -> int | None:
    """Return how many objects one unfolds to, None where that has no end or is too many."""
    stack: list[tuple[Made, list[Made] | None]] = [(root, None)]
    while stack:
        found, inside = stack.pop()
        if inside is not None:
            weights[id(found)] = 1 + sum(weights[id(one)] for one in inside)
            if weights[id(found)] > MOST_ESTIMATORS:
                return None
            continue
        if weights.get(id(found)) == _OPEN:
            return None
        if id(found) in weights:
            continue
        weights[id(found)] = _OPEN
        inside = _held_by(found, spend)
        stack.append((found, inside))
        for one in inside:
            if weights.get(id(one)) == _OPEN:
                return None
            stack.append((one, None))
    return weights[id(root)]


def _held_by(found: Made, spend: Callable[[int], None]) -> list[Made]:
    """Return the objects directly inside the state of one, through containers and arrays."""
    held: list[Made] = []
    seen: set[int] = set()
    pending: list[Any] = [*found.states, *found.items, *found.arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            inner: Collection[Any] = value.values()
        elif isinstance(value, list | tuple):
            inner = value
        elif isinstance(value, Made):
            if _is_followed(value):
                held.append(value)
                continue
            inner = (*value.states, *value.items, *value.arguments)
        else:
            continue
        if id(value) not in seen:
            seen.add(id(value))
            spend(_COST * len(inner))
            pending.extend(inner)
    return held
