"""What README, CONTRIBUTING and the pages in docs/ say is true of this commit."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import click.testing
import pytest
from pydantic import AliasChoices

from archiver.cli import archiver
from archiver.core.damage import KINDS
from archiver.core.outcome import DeadReason
from archiver.settings import Settings
from contracts.cli import contracts
from contracts.config.values import SCHEMA_FILE
from contracts.reports import FORMATS
from contracts.toolkit import Exit
from tests.house.rules import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/**/*.md")]
)
GROUPS = {"contracts": contracts, "archiver": archiver}
REFERENCE = {"contracts": "docs/contracts.md", "archiver": "docs/archiver.md"}
OF_USERS = {"contracts/scenarios"}  # where `contracts init` puts them in an emitter's repository


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def verbs(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Every verb with its path, such as `contracts fixtures seal`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{group.name} {name}", command
        if isinstance(command, click.Group):
            yield from ((f"{group.name} {path}", each) for path, each in verbs(command))


VERBS = {path: command for group in GROUPS.values() for path, command in verbs(group)}


def commands(page: str) -> Iterator[list[str]]:
    """The words of each of our commands in the shell blocks of a page."""
    for block in re.findall(r"^```sh\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            command: list[str] = []
            for word in [*lexer, ";"]:
                if word.strip("();&|"):
                    command.append(word)
                else:
                    if command and command[0] in GROUPS:
                        yield command
                    command = []


def headings(page: str) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", read(page), flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rooms(package: str) -> set[str]:
    """Every folder and module directly below a package."""
    found = {path.name for path in (ROOT / package).glob("[!_]*.py")}
    return found | {
        f"{path.name}/" for path in (ROOT / package).iterdir() if path.is_dir() and path.name[0] not in "_."
    }


def mapped() -> dict[str, set[str]]:
    """The map in CONTRIBUTING: what stands below each folder at the margin."""
    (block,) = re.findall(r"^## The map$.*?^```text\n(.*?)^```", read("CONTRIBUTING.md"), re.DOTALL | re.MULTILINE)
    assert len(block.splitlines()) <= 40
    found: dict[str, set[str]] = {}
    for line in block.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            top = found.setdefault(name.rstrip("/"), set())
        else:
            top.add(name)
    return found


@pytest.mark.parametrize("package", ["contracts", "archiver"])
def test_every_room_is_on_the_map_and_the_map_has_no_other(package: str) -> None:
    assert mapped()[package] == rooms(package)


def test_every_folder_of_tests_is_on_the_map_or_mirrors_a_package() -> None:
    folders = {name for name in rooms("tests") if name.endswith("/")}

    assert folders == mapped()["tests"] | {"contracts/", "archiver/"}


def test_the_tests_mirror_the_rooms() -> None:
    for package in ("contracts", "archiver"):
        folders = {name for name in rooms(f"tests/{package}") if name.endswith("/")}
        assert folders <= rooms(package), f"tests/{package} has a folder that is no room of {package}/"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    paths = re.findall(r"(?<![\w/.-])(?:contracts|archiver|tests|docs|fixtures|\.github)/[\w./-]*", read(page))

    assert not sorted(path for path in {*paths} - OF_USERS if not (ROOT / path.rstrip(".")).exists())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in headings(linked.resolve().relative_to(ROOT).as_posix()), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_a_page_shows_exists(page: str) -> None:
    for words in commands(page):
        command: click.Command = GROUPS[words[0]]
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(click.Context(command), rest[0])
            assert found is not None, f"{page} shows `{shlex.join(words)}`, and there is no {rest[0]!r}"
            command, rest = found, rest[1:]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        shown = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert shown <= known | {"--help", "--version"}, f"{page} shows `{shlex.join(words)}`"


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_is_on_its_page_and_explains_itself(path: str) -> None:
    command = VERBS[path]

    if not isinstance(command, click.Group):
        assert re.search(rf"^\| `{path}\b", read(REFERENCE[path.split(maxsplit=1)[0]]), re.MULTILINE)
    assert command.help, f"{path} has no help"
    assert "\\b" not in command.help, f"{path} shows click's mark instead of obeying it"
    assert all(each.help for each in command.params if isinstance(each, click.Option))


@pytest.mark.parametrize("path", [*GROUPS, *(path for path, each in VERBS.items() if isinstance(each, click.Group))])
def test_a_list_of_verbs_shows_each_summary_whole(path: str) -> None:
    group = GROUPS.get(path) or VERBS[path]

    shown = click.testing.CliRunner().invoke(group, ["--help"], prog_name=path, terminal_width=80).output

    assert "Commands:" in shown
    assert "..." not in shown.partition("Commands:")[2]


def test_the_readme_gives_the_exit_statuses_as_they_are() -> None:
    statuses = {int(number) for number in re.findall(r"^\| (\d+) \|", read("README.md"), re.MULTILINE)}

    assert statuses == {int(each) for each in Exit}


def settings() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        yield str(alias.choices[0] if isinstance(alias, AliasChoices) else alias or f"ARCHIVER_{name.upper()}")


def config_keys() -> Iterator[str]:
    top = json.loads(SCHEMA_FILE.read_bytes())["properties"]
    yield from top.keys() - {"emitters", "targets"}
    for table in ("emitters", "targets"):
        yield from top[table]["additionalProperties"]["properties"]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/settings.md", settings()),
        ("docs/configuration.md", config_keys()),
        ("docs/reports.md", FORMATS),
        ("docs/archive-layout.md", (name for name in KINDS if not name.startswith("conflict/"))),
        ("docs/operate.md", DeadReason),
    ],
    ids=["settings", "keys of contracts.toml", "report formats", "kinds of damage", "reasons of dead letters"],
)
def test_a_page_that_explains_names_has_all_of_them(page: str, names: Iterable[str]) -> None:
    text = read(page)

    assert not sorted(name for name in names if f"`{name}`" not in text)


def test_the_readme_is_short_and_names_every_page() -> None:
    readme = read("README.md")

    assert len(readme.split()) <= 1000
    assert not sorted(page for page in PAGES if page.startswith("docs/") and f"({page})" not in readme)


@pytest.mark.parametrize("page", ["README.md", "docs/gate-an-emitter.md"])
def test_check_prints_what_the_page_shows(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = json.loads((ROOT / "fixtures/kaizen.schedule.prepared/1/valid/spec-example.json").read_bytes())
    Path("event.json").write_text(json.dumps(example | {"cadence": "fortnightly"}), "utf-8")

    done = click.testing.CliRunner().invoke(contracts, ["check", "event.json"], standalone_mode=False)

    assert done.return_value == Exit.BROKEN
    assert f"```text\n{done.output}```" in read(page)
