"""The command `archiver`."""

from __future__ import annotations

from archiver.cli import archiver
from contracts.toolkit import run


def main() -> None:
    """Run the command line and exit with one of `contracts.Exit`."""
    run(archiver)


if __name__ == "__main__":
    main()
