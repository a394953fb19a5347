"""What the spool refuses is told as the operator's matter, whenever the refusal comes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts import BadInput
from contracts.emit.spool import Spool


def test_a_disk_that_is_full_at_close_is_reported_and_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path)

    with pytest.raises(BadInput, match="No space left on device"), spool.draft() as draft:  # noqa: PT012
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, draft.file.fileno())
        os.close(full)
        draft.file.write(b"still in the buffer")

    assert list(tmp_path.iterdir()) == []


def test_a_bundle_may_have_a_second_name_and_keeps_its_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "old.md").write_bytes(b"bundle")

    assert spool.copy("old.md", "new.md")
    assert spool.copy("old.md", "new.md")  # again does no harm
    assert not spool.copy("missing.md", "other.md")

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.md": b"bundle", "new.md": b"bundle"}
    assert (tmp_path / "new.md").stat().st_nlink == 1, "the archiver refuses hard links"


def test_a_bundle_that_lies_under_its_new_name_only_is_there(tmp_path: Path) -> None:
    (tmp_path / "new.md").write_bytes(b"bundle")

    assert Spool(tmp_path).copy("old.md", "new.md")
