"""A creds file that is replaced while a program runs is used at the next login."""

from __future__ import annotations

import base64
from pathlib import Path

import nkeys
import pytest

from contracts.bus.credentials import CredsFile
from contracts.errors import BadInput
from tests.support.credentials import operator_mode


def signed_by(signature: bytes, creds: str) -> bool:
    """Return whether the signature is that of the seed in a creds file."""
    seed = next(line for line in creds.splitlines() if line.startswith("SU"))
    return signature == base64.b64encode(nkeys.from_seed(bytearray(seed.encode())).sign(b"nonce"))


def test_a_file_that_was_replaced_counts_at_the_next_login_and_a_broken_one_does_not(tmp_path: Path) -> None:
    first, second = operator_mode()[1], operator_mode()[1]
    path = tmp_path / "a.creds"
    path.write_text(first)
    creds = CredsFile(path)
    assert signed_by(creds.sign("nonce"), first)
    assert creds.jwt().decode() in first

    path.write_text(second)
    assert signed_by(creds.sign("nonce"), second)
    assert creds.jwt().decode() in second

    path.write_text(second[:100])
    assert signed_by(creds.sign("nonce"), second)
    path.unlink()
    assert signed_by(creds.sign("nonce"), second)
    with pytest.raises(BadInput, match=f"cannot read {path}"):
        CredsFile(path)
