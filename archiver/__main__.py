"""The command `archiver`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from archiver.cli import archiver
from contracts.toolkit import run


def main() -> None:
    """Run the command line and exit with one of `contracts.Exit`."""
    try:
        run(archiver)
    except SystemExit as done:
        # Not by the interpreter's own shutdown: a thread of obstore that still lets go of an object then asks for
        # the interpreter, is ended for it by CPython before 3.14, and Rust calls abort() (one `get` in eight, tried).
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a full disk, a reader that has gone: said already
                stream.flush()
        os._exit(int(done.code or 0))


if __name__ == "__main__":
    main()
