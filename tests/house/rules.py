"""What the house rules are checked against."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted(
    path.relative_to(ROOT).as_posix() for top in ("contracts", "archiver") for path in ROOT.glob(f"{top}/**/*.py")
)

# No clock, no environment, no random source: import-linter holds the modules, a test the built-in functions.
PURE = [path for path in SOURCES if path.startswith(("archiver/core/", "contracts/model/"))]
IMPURE_CALLS = {
    "open",
    "print",
    "input",
    "now",
    "utcnow",
    "today",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "uuid4",
    "getenv",
}
