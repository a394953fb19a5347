"""The command `contracts`."""

from __future__ import annotations

from contracts.cli import contracts
from contracts.cli.run import run


def main() -> None:
    """Run the command line and exit with one of `contracts.Exit`."""
    run(contracts)


if __name__ == "__main__":
    main()
