"""What the spool refuses is told as the operator's matter, whenever the refusal comes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts import BadInput
from contracts.emitters.spool import Spool


def test_a_disk_that_is_full_only_when_the_file_is_closed_is_said_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path)

    with pytest.raises(BadInput, match="No space left on device"), spool.draft() as draft:  # noqa: PT012
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, draft.file.fileno())
        os.close(full)
        draft.file.write(b"still in the buffer")

    assert list(tmp_path.iterdir()) == []
