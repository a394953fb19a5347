"""What a run over a whole archive has to remember, on disk: a million objects cost no memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from contracts import BadInput

_CACHE_KIB: Final = 16 * 1024
_BATCH: Final = 500


class TempTables:
    """Tables in a temporary file without a name (in TMPDIR), gone with the object; for one thread.

    It and its tables raise `BadInput` where that file cannot be written.
    """

    def __init__(self) -> None:
        # '' is a database that SQLite keeps in its cache, and beyond that in a file which it has already unlinked.
        # One thread uses it, and any may collect it.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "PRAGMA journal_mode = OFF",
            "CREATE TABLE entries (name TEXT, key TEXT, value TEXT, PRIMARY KEY (name, key)) WITHOUT ROWID",
            "BEGIN",  # and never committed: nobody else reads it
        ):
            self.ask(statement)

    def __del__(self) -> None:
        self._db.close()

    def ask(self, statement: str, *values: str | int) -> Sequence[tuple[Any, ...]]:
        """Run one statement."""
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            why = f"cannot note in a temporary file what was listed: {error}"
            raise BadInput(f"{why}\n  is there room for it? TMPDIR names another directory") from error


class Table:
    """A mapping from text to JSON values, under its own name in the temporary file."""

    def __init__(self, tables: TempTables, name: str) -> None:
        self._ask, self._name = tables.ask, name

    def __setitem__(self, key: str, value: Any) -> None:
        self._ask("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", self._name, key, json.dumps(value))

    def __contains__(self, key: str) -> bool:
        return bool(self._ask("SELECT 1 FROM entries WHERE name = ? AND key = ?", self._name, key))

    def __len__(self) -> int:
        [(count,)] = self._ask("SELECT count(*) FROM entries WHERE name = ?", self._name)
        return int(count)

    def get(self, key: str) -> Any:
        """Return the value, or None where there is none."""
        found = self._ask("SELECT value FROM entries WHERE name = ? AND key = ?", self._name, key)
        return json.loads(found[0][0]) if found else None

    def discard(self, key: str) -> None:
        """Remove an entry, if it is there."""
        self._ask("DELETE FROM entries WHERE name = ? AND key = ?", self._name, key)

    def __iter__(self) -> Iterator[str]:
        return (entry[0] for entry in self.items())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Go through the entries in the order of their keys; others may be set and removed meanwhile."""
        last = ""
        while page := self._ask(
            "SELECT key, value FROM entries WHERE name = ? AND key > ? ORDER BY key LIMIT ?", self._name, last, _BATCH
        ):
            for key, value in page:
                yield key, json.loads(value)
            last = page[-1][0]
