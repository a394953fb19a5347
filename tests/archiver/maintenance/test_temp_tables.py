"""What a look over an archive remembers: a mapping, on disk, for as long as it is needed."""

from __future__ import annotations

import gc
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.maintenance.temp_tables import Table, TempTables
from contracts import BadInput

KEYS = st.text(min_size=1, max_size=3)
CHANGES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 9), st.just("discard"))))


@given(CHANGES)
def test_it_is_a_mapping_in_the_order_of_its_keys(changes: list[tuple[str, Any]]) -> None:
    scratch = TempTables()
    table, other, wanted = Table(scratch, "one"), Table(scratch, "other"), dict[str, Any]()
    for key, value in changes:
        if value == "discard":
            table.discard(key)
            wanted.pop(key, None)
        else:
            table[key] = wanted[key] = value

    assert [*table.items()] == sorted(wanted.items())
    assert [*table] == sorted(wanted)
    assert len(table) == len(wanted)
    for key, _ in changes:
        assert (key in table) is (key in wanted)
        assert table.get(key) == wanted.get(key)
    assert not len(other)


def test_what_is_removed_while_it_is_gone_through_does_not_disturb_the_others() -> None:
    table = Table(TempTables(), "numbers")
    for number in range(2000):
        table[f"{number:04}"] = number

    seen = []
    for key, number in table.items():
        table.discard(key)
        seen.append(number)

    assert seen == [*range(2000)]
    assert not len(table)


def test_a_table_keeps_its_scratch_and_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    table = Table(TempTables(), "numbers")
    gc.collect()
    for number in range(200_000):
        table[f"{number:0100}"] = number

    assert table.get(f"{7:0100}") == 7
    del table
    gc.collect()
    assert [*tmp_path.iterdir()] == []


def test_a_disk_that_is_full_is_told_with_what_to_do() -> None:
    table = Table(TempTables(), "numbers")

    def fill() -> None:
        for number in range(1_000_000):
            table[f"{number:0200}"] = number

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(BadInput, match="TMPDIR names another directory"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
