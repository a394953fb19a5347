"""Archive the bundles of kaizen.schedule.prepared events in an S3-compatible store, and read them back.

    open_archive("s3://bucket/prefix")   a reader of an archive: `with` gives an ArchiveReader, `async with` an
                                         AsyncArchiveReader; find, get, open and read
    ArchivedEvent                        one event and its bundle
    Settings, load_settings()            the settings of the command `archiver`, from the environment

A reader raises `NotArchived`, `RecordDamaged`, `DigestMismatch` or `StoreUnavailable`, each a `contracts.KitError`, and
warns with `DamagedReference`. These names are the whole public API (docs/api.md shows each in use). Each is imported on
first use; reading needs the extra `archiver`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archiver.core.errors import DigestMismatch, NotArchived, RecordDamaged, StoreUnavailable
    from archiver.reader import ArchivedEvent, ArchiveReader, AsyncArchiveReader, DamagedReference, open_archive
    from archiver.settings import Settings, load_settings

__all__ = [
    "ArchiveReader",
    "ArchivedEvent",
    "AsyncArchiveReader",
    "DamagedReference",
    "DigestMismatch",
    "NotArchived",
    "RecordDamaged",
    "Settings",
    "StoreUnavailable",
    "load_settings",
    "open_archive",
]

_HOME = {
    "ArchiveReader": "reader",
    "ArchivedEvent": "reader",
    "AsyncArchiveReader": "reader",
    "DamagedReference": "reader",
    "DigestMismatch": "core.errors",
    "NotArchived": "core.errors",
    "RecordDamaged": "core.errors",
    "Settings": "settings",
    "StoreUnavailable": "core.errors",
    "load_settings": "settings",
    "open_archive": "reader",
}


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'archiver' has no public name {name!r}")
        value = globals()[name] = getattr(import_module(f"archiver.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
