"""Build the wheel that users install, and install it where nothing else is.

No network: the base dependencies are copied, file for file as their RECORD lists them, out of the environment
that runs the tests. `installed` checks that they are all there, by the requirements of the wheel itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DISTRIBUTION = "kaizen-event-kit"


@dataclass(frozen=True)
class Environment:
    """An environment of its own, with the wheel and its base dependencies and nothing else."""

    home: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    @property
    def contracts(self) -> Path:
        return self.home / "bin" / "contracts"

    @property
    def site_packages(self) -> Path:
        (found,) = self.home.glob("lib/python*/site-packages")
        return found

    def run(self, *words: str | Path, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command as somebody who has never heard of the checkout."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            words, cwd=cwd, env=inherited | changes, capture_output=True, text=True, check=False, timeout=120
        )


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    _do([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT])
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, home: Path) -> Environment:
    """Make an empty environment, and install the wheel and its base dependencies there."""
    venv.create(home, symlinks=True, with_pip=False)
    environment = Environment(home)
    if find_spec("pip"):
        offline = ["--no-index", "--no-deps", "--quiet", "--disable-pip-version-check"]
        _do([sys.executable, "-m", "pip", "--python", environment.python, "install", *offline, wheel])
    else:  # an environment made by uv
        _do(["uv", "pip", "install", "--python", environment.python, "--offline", "--no-deps", "--quiet", wheel])
    for dependency in base_dependencies():
        _copy(dependency, environment.site_packages)
    return environment


def base_dependencies() -> list[Distribution]:
    """List what the wheel needs without extras, and what that needs in turn."""
    found: dict[str, Distribution] = {}
    waiting = list(_needs(distribution(DISTRIBUTION)))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting += _needs(found[name])
    return list(found.values())


def _needs(package: Distribution) -> Iterator[str]:
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _copy(package: Distribution, site_packages: Path) -> None:
    for file in package.files or ():
        if ".." not in file.parts:  # console scripts, which nobody needs here
            target = site_packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if Path(str(file.locate())).is_file():
                shutil.copy2(str(file.locate()), target)


def _do(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
