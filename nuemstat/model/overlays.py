"""What an overlay sets: keys, one by one, and the rules by which the overlays of several variant groups meet.

A key is a path of names; an overlay sets a value there, replaces a whole part, or removes what stands below. A group
owns every key that one of its options sets. An option that has to set a key of another group takes an option of that
group with it, under `sets`, and is a guest there: the key stays with its owner.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from nuemstat.errors import ModelError, suggestion

Key = tuple[str, ...]
SETS = "sets"
CHANGES = "changes"
_MISSING = object()


def edits(patch: Any, base: Any, at: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Keys and values of an overlay on `base`, in its order; None removes.

    What is not a mapping there, or has another `type`, is replaced as a whole: one key, with all that it holds.
    """
    whole = not isinstance(patch, dict) or (base is not _MISSING and not isinstance(base, dict))
    known = base if isinstance(base, dict) else {}
    if whole or ("type" in patch and patch["type"] != known.get("type")) or (not patch and base is _MISSING):
        yield at, patch
        return
    for key, value in patch.items():
        yield from edits(value, known.get(key, _MISSING), (*at, key))


def put(base: Any, key: Key, value: Any) -> Any:
    """`base` with a value at a key, None to remove it; `base` is not changed."""
    if not key:
        return copy.deepcopy(value)
    head, *rest = key
    node = dict(base) if isinstance(base, dict) else {}
    if not rest and value is None:
        node.pop(head, None)
    elif value is not None or isinstance(node.get(head), dict):
        node[head] = put(node.get(head), tuple(rest), value)
    return node


def at(base: Any, key: Key) -> Any:
    """What stands at a key, None where nothing does."""
    for name in key:
        base = base.get(name) if isinstance(base, dict) else None
    return base


def above(upper: Key, lower: Key) -> bool:
    """Whether the first key is the second one, or a part that holds it."""
    return lower[: len(upper)] == upper


def _longer(one: Key, other: Key) -> Key:
    return other if len(other) > len(one) else one


def _meet(one: tuple[Key, Any], other: tuple[Key, Any]) -> bool:
    """Whether two edits are about one thing. What is removed cannot be edited: that is no conflict."""
    (upper, value), (lower, _) = sorted((one, other), key=lambda edit: len(edit[0]))
    return above(upper, lower) and not (value is None and upper != lower)


@dataclass(frozen=True)
class Overlays:
    """The variants of a raw model.

    name : what a message begins with, the file or the model.
    """

    name: str
    raw: Mapping[str, Any]

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The options of each group, the default first."""
        return {group: tuple(options) for group, options in (self.raw.get("variants") or {}).items()}

    @cached_property
    def edits(self) -> dict[tuple[str, str], dict[Key, Any]]:
        """What each option of each group sets."""
        found: dict[tuple[str, str], dict[Key, Any]] = {}
        for group, options in (self.raw.get("variants") or {}).items():
            for option, overlay in options.items():
                patch = {key: value for key, value in (overlay or {}).items() if key not in (SETS, CHANGES)}
                found[group, option] = dict(edits(patch, self.raw))
        return found

    def sets(self, group: str, option: str) -> dict[str, str]:
        """The options of other groups that an option takes with it."""
        return dict((self.raw["variants"][group][option] or {}).get(SETS) or {})

    def changes(self, group: str, option: str) -> dict[str, Any]:
        """The numbers that an option sets by their path, after all overlays and with what follows them."""
        return dict((self.raw["variants"][group][option] or {}).get(CHANGES) or {})

    @cached_property
    def order(self) -> dict[Key, tuple[str, ...]]:
        """The keys that groups share, and the groups as their overlays are applied there."""
        return {tuple(path.split(".")): tuple(row) for path, row in (self.raw.get("order") or {}).items()}

    @cached_property
    def sequence(self) -> tuple[str, ...]:
        """All groups as their overlays are applied: as in the file, but for what `order` says.

        Raises
        ------
        ModelError : two keys are ordered both ways.
        """
        later = [(one, other) for row in self.order.values() for one, other in combinations(row, 2)]
        rest, found = list(self.groups), []
        while rest:
            free = [group for group in rest if not any(one in rest and other == group for one, other in later)]
            if not free:
                raise ModelError(
                    f"{self.name}: order: {', '.join(rest)} stand both ways; one order of two groups is allowed"
                )
            found.append(free[0])
            rest.remove(free[0])
        return tuple(found)

    # Composition.

    def composed(self, chosen: Mapping[str, str]) -> dict[str, Any]:
        """The raw model with the overlays of the chosen options, at most one of each group.

        What an option of one group removes stays away: an edit of another group below it has nothing to act on.
        The same holds for what a part that was replaced as a whole no longer has.
        """
        model: Any = dict(self.raw)
        for group in self.sequence:
            for key, value in self.edits_of(group, chosen).items():
                if not self._lost(chosen, group, key):
                    model = put(model, key, value)
        return dict(model)

    def edits_of(self, group: str, chosen: Mapping[str, str]) -> dict[Key, Any]:
        """What the chosen option of a group sets."""
        return self.edits[group, chosen[group]] if group in chosen else {}

    def _lost(self, chosen: Mapping[str, str], group: str, key: Key) -> bool:
        earlier = self.sequence[: self.sequence.index(group)]
        for other in self.sequence:
            for upper, value in self.edits_of(other, chosen).items() if other != group else ():
                if upper == key or not above(upper, key):
                    continue
                below = key[len(upper) :]
                if value is None or (other in earlier and at(value, below[:-1] or below) is None):
                    return True
        return False

    def ordered(self, one: str, other: str, key: Key) -> bool:
        """Whether `order` says which of two groups decides on a key."""
        return any(above(path, key) and {one, other} <= set(row) for path, row in self.order.items())

    # Checks of the file.

    def check(self) -> None:
        """Refuse a key that two groups set differently without saying which of them decides.

        Raises
        ------
        ModelError : such a key, or a row of `sets` or `order` that names what is not there.
        """
        for group, option in self.edits:
            self._check_sets(group, option)
        for key, row in self.order.items():
            self._check_order(f"{self.name}: order.{'.'.join(key)}", key, row)
        for one, other in combinations(self.groups, 2):
            for first, a in self.owned(one, other):
                for second, b in self.owned(other, one):
                    key = _longer(a[0], b[0])
                    if _meet(a, b) and a != b and not self.ordered(one, other, key):
                        raise ModelError(
                            f"{self.name}: variants: {'.'.join(key)} is set by group {one!r} ({first!r}) and by group "
                            f"{other!r} ({second!r}); `{SETS}` in an option or a row of `order` must say which decides"
                        )
        _ = self.sequence

    def owned(self, group: str, other: str) -> Iterator[tuple[str, tuple[Key, Any]]]:
        """Options of a group and what each sets, one edit at a time, where it is no guest of the other group."""
        for option in self.groups[group]:
            if other not in self.sets(group, option):
                for edit in self.edits[group, option].items():
                    yield option, edit

    def _check_sets(self, group: str, option: str) -> None:
        where = f"{self.name}: variants.{group}.{option}.{SETS}"
        rows = (self.raw["variants"][group][option] or {}).get(SETS) or {}
        if not isinstance(rows, dict):
            raise ModelError(f"{where}: found {rows!r}; rows of `group: option` are allowed")
        if rows and option == self.groups[group][0]:
            raise ModelError(f"{where}: found in the default of its group; allowed in the other options only")
        for other, taken in rows.items():
            _among(where, other, [name for name in self.groups if name != group])
            _among(f"{where}.{other}", taken, self.groups[other])
            for mine in self.edits[group, option].items():
                for theirs in self.edits[other, taken].items():
                    if _meet(mine, theirs) and mine != theirs:
                        key = ".".join(_longer(mine[0], theirs[0]))
                        raise ModelError(
                            f"{where}: {key} is set here and by {taken!r}, differently; leave it to {taken!r}"
                        )

    def _check_order(self, where: str, key: Key, row: tuple[str, ...]) -> None:
        for group in row:
            _among(where, group, self.groups)
            keys = [found for option in self.groups[group] for found in self.edits[group, option]]
            if not any(above(key, found) or above(found, key) for found in keys):
                raise ModelError(f"{where}: found {group!r}, which never sets it; groups that do are allowed")
        if len(row) < 2 or len(set(row)) < len(row):
            raise ModelError(f"{where}: found {', '.join(row) or 'none'}; two or more different groups are allowed")


def _among(where: str, found: Any, known: Iterable[str]) -> None:
    allowed = list(known)
    if found not in allowed:
        raise ModelError(f"{where}: found {found!r}; allowed are {', '.join(allowed)}{suggestion(str(found), allowed)}")
