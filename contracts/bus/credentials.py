"""Creds files and nkey seed files, as `nsc` and `nk` write them, and as editors and Windows leave them.

nats-py takes the bytes between two line breaks, a carriage return or an indentation included, and reads a file
without a JWT without end (nats.py pull request 1020). So the files are read here.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import nkeys

from contracts.errors import BadInput

_JWT: Final = b"BEGIN NATS USER JWT"
_SEED: Final = b"BEGIN USER NKEY SEED"


class Creds(NamedTuple):
    """What a creds file holds: the user's JWT, and the seed that signs for it."""

    jwt: bytes
    seed: bytes


class CredsFile:
    """A creds file, read anew at each login, so that one that was replaced is used at the next reconnection.

    A file that cannot be read then leaves the last one in force.

    Raises:
        BadInput: it cannot be read at first, or holds no JWT and seed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = read_creds(path)

    def jwt(self) -> bytearray:
        """Return the JWT; nats-py calls this at each login, after `sign`."""
        return bytearray(self._last.jwt)

    def sign(self, nonce: str) -> bytes:
        """Sign the server's nonce."""
        with suppress(BadInput):  # half written, or away for a moment
            self._last = read_creds(self._path)
        key = nkeys.from_seed(bytearray(self._last.seed))
        signature = base64.b64encode(key.sign(nonce.encode()))
        key.wipe()
        return signature


def read_creds(path: Path) -> Creds:
    """Read a creds file.

    Raises:
        BadInput: it cannot be read, or holds no JWT and seed.
    """
    lines = _lines(path)
    jwt, seed = _after(lines, _JWT), _after(lines, _SEED)
    if jwt.count(b".") != 2 or not _is_seed(seed):
        raise BadInput(f"{path} is not a NATS credentials file")
    return Creds(jwt, seed)


def read_seed(path: Path) -> str:
    """Read a file that holds an nkey seed, alone or between BEGIN and END.

    Raises:
        BadInput: it cannot be read, or holds no seed.
    """
    for line in _lines(path):
        if _is_seed(line):
            return line.decode("ascii")
    raise BadInput(f"{path} holds no nkey seed; expected one line that starts with SU")


def _lines(path: Path) -> list[bytes]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
    return [line.strip() for line in raw.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]


def _after(lines: list[bytes], mark: bytes) -> bytes:
    found = [index for index, line in enumerate(lines) if mark in line]
    return lines[found[0] + 1] if found and found[0] + 1 < len(lines) else b""


def _is_seed(raw: bytes) -> bool:
    try:
        nkeys.from_seed(bytearray(raw)).wipe()
    except (nkeys.NkeysError, ValueError):
        return False
    return raw.startswith(b"S")
