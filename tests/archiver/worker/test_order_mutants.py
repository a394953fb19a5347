"""The order is tested, and not only stated: whoever changes it in the code fails a test.

Each mutant is the archiver with one step moved, left out or done too early, in a copy of the tree; the tests of the
order have to fail on it, and to pass on the copy without a mutation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
JUDGES = [f"tests/archiver/worker/test_{name}.py" for name in ("pipeline", "release", "consumer", "poison")]
WITHOUT = ["-p", "no:xdist", "-p", "no:schemathesis"]  # the one is the outer run's; the other is slow to import

# What is done wrong -> the file, the code as it is, the code as it would be.
MUTANTS = {
    "acknowledged before anything is done": (
        "consumer.py",
        "outcome = await self.process(message)",
        "await delivery.acknowledge(); outcome = await self.process(message)",
    ),
    "acknowledged without an announcement": ("pipeline.py", "await self._announce(message, event, reference)", "pass"),
    "announced before it is referenced": (
        "pipeline.py",
        "        return await self.archive.write_reference(event, _source(message), stored), bundle",
        """\
        from archiver.core.reference import Reference
        early = Reference(event.key, _source(message), event.payload, stored, '2026-06-17T12:00:00Z', {})
        await self._announce(message, event, early)
        return await self.archive.write_reference(event, _source(message), stored), bundle""",
    ),
    "referenced before it is read back": (
        "archive.py",
        "if found.digest != digest:\n                # Safe",
        "if False:\n                # Safe",
    ),
    "a repair believed without reading it back": (
        "archive.py",
        "found = await self._read_back(key, size)\n",
        "found = ReadBack(digest, size, size)\n",
    ),
    "referenced before it is known that the bundle did not change": (
        "pipeline.py",
        "        return await self.archive.write_reference",
        "            return await self.archive.write_reference",
    ),
    "a reference believed without reading it back": (
        "archive.py",
        "found_raw = await self._raw(key)",
        "found_raw = raw",
    ),
    "announced without a look whether the blob is there still": (
        "archive.py",
        "if not await self.holds(stored.key):",
        "if False:",
    ),
    "released before it is announced": (
        "pipeline.py",
        "await self._announce(message, event, reference)",
        "await self._release(message, event, reference, bundle); await self._announce(message, event, reference)",
    ),
    "terminated before its dead letter is stored": (
        "consumer.py",
        "await self.dead_letters.announce(",
        "await delivery.terminate(); await self.dead_letters.announce(",
    ),
    "a redelivery that is not looked up": (
        "pipeline.py",
        "if message.deliveries > 1:",
        "if False:",
    ),
    "a damaged reference believed": ("archive.py", "if not record.is_sound:", "if False:"),
    "the first reference written over": (
        "archive.py",
        "put = self.store.create if self.create_only else self.store.replace",
        "put = self.store.replace",
    ),
    "validated after the bundle is fetched": (
        "pipeline.py",
        "        event = validate(message.payload, source=message.subject)  # (1)\n",
        """\
        import contextlib, json
        with contextlib.suppress(Exception):
            async with self._open(message, PreparedEvent.from_checked(json.loads(message.payload))):
                pass
        event = validate(message.payload, source=message.subject)  # (1)
""",
    ),
}


def judged(tmp_path: Path, mutation: tuple[str, str, str] | None) -> subprocess.CompletedProcess[str]:
    shutil.copytree(ROOT / "archiver", tmp_path / "archiver")
    for name in ("contracts", "fixtures", "tests", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    if mutation:
        name, found, instead = mutation
        path = tmp_path / "archiver" / "worker" / name
        code = path.read_text("utf-8")
        assert code.count(found) == 1, f"{name} has changed: the mutant needs to be written anew"
        path.write_text(code.replace(found, instead), "utf-8")
        compile(path.read_text("utf-8"), name, "exec")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", *WITHOUT, "--rootdir", tmp_path, *JUDGES],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_copy_without_a_mutation_passes(tmp_path: Path) -> None:
    done = judged(tmp_path, None)

    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("what", MUTANTS)
def test_a_changed_order_fails_a_test(tmp_path: Path, what: str) -> None:
    done = judged(tmp_path, MUTANTS[what])

    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-1000:]
    assert " failed" in done.stdout
