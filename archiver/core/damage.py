"""What `archiver verify` can find, by name. The names are part of the interface: reports and alerts hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """A kind of damage: whether the archive is damaged by it, and what to do next."""

    is_damage: bool
    next: str


_REWRITE: Final = "archiver verify --repair, while the spool has the bundle; or restore a copy or an older version"
_BY_HAND: Final = "restore a copy or an older version of the object; nothing else holds its content"
_COPY: Final = "archiver verify --repair copies it to where it belongs"
_OF_A_RECORD: Final = {
    "unreadable": Kind(True, _BY_HAND),
    "invalid-event": Kind(True, _BY_HAND),
    "altered": Kind(True, _BY_HAND),
    "wrong-bundle": Kind(True, _BY_HAND),
    "misplaced": Kind(True, _COPY),
    "duplicate": Kind(False, "remove it if you like: the same record is where it belongs"),
}
KINDS: Final = {
    "blob/missing": Kind(True, _REWRITE),
    "blob/damaged": Kind(True, _REWRITE),
    "blob/orphan": Kind(True, "archiver gc --execute deletes it"),
    "blob/unreferenced-yet": Kind(False, "verify again later: a blob is written before its reference"),
    "blob/misnamed": Kind(True, "find out who wrote it, and remove it: no reference can refer to it"),
    **{f"reference/{name}": kind for name, kind in _OF_A_RECORD.items()},
    **{f"conflict/{name}": kind for name, kind in _OF_A_RECORD.items()},
    "gc/interrupted": Kind(False, "archiver gc --execute finishes what an interrupted one began"),
    "object/other-archive": Kind(False, "nothing here: verify that archive with its own ARCHIVER_PREFIX"),
    "object/unknown": Kind(False, "leave it if you know it: the archiver neither wrote it nor reads it"),
}


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it should be.

    `id` is of `KINDS`; `record` is the key of the record that refers to a blob; `repaired` is how it was repaired.
    Either is '' where there is none.
    """

    id: str
    key: str
    found: str
    expected: str
    record: str = ""
    repaired: str = ""

    @property
    def is_damage(self) -> bool:
        """Whether the archive is the worse for it, now."""
        return KINDS[self.id].is_damage and not self.repaired

    @property
    def next(self) -> str:
        """What to do about it."""
        return "nothing: it is repaired" if self.repaired else KINDS[self.id].next
