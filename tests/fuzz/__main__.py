"""`make fuzz`: the targets take turns until the time is over; the first failure ends it and is kept to be repeated."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
import time
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from tests.fuzz.targets import TARGETS

_HANG_S = 120


def main() -> int:
    """Return 0, or 1 where an input broke a promise."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("FUZZ_SECONDS") or 600))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("FUZZ_SEED") or time.time()))
    parser.add_argument("--target", choices=[each.__name__ for each in TARGETS], help="this target only")
    parser.add_argument("--number", type=int, help="this input only")
    asked = parser.parse_args()
    targets = [each for each in TARGETS if asked.target in {None, each.__name__}]
    logging.disable()
    number, end = asked.number or 0, time.monotonic() + asked.seconds
    counts = {each.__name__: 0 for each in targets}
    while time.monotonic() < end:
        for target in targets:
            kept: dict[str, bytes] = {}
            faulthandler.dump_traceback_later(_HANG_S, exit=True)
            try:
                target(Random(f"{asked.seed} {target.__name__} {number}"), kept.__setitem__)
            except Exception as error:  # noqa: BLE001 - any error is a finding
                _report(error, target.__name__, asked.seed, number, kept)
                return 1
            finally:
                faulthandler.cancel_dump_traceback_later()
            counts[target.__name__] += 1
        number += 1
        if asked.number is not None:
            break
    print(f"seed {asked.seed}, no promise broken:", ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    return 0


def _report(error: Exception, target: str, seed: int, number: int, kept: dict[str, bytes]) -> None:
    folder = Path(mkdtemp(prefix="fuzz-failed-"))
    for name, raw in kept.items():
        (folder / name).write_bytes(raw)
    import traceback

    traceback.print_exception(error)
    print(f"\n{target} broke a promise: {error}\n  input: {folder}", file=sys.stderr)
    print(f"  repeat: python -m tests.fuzz --seed {seed} --target {target} --number {number}", file=sys.stderr)


sys.exit(main())
