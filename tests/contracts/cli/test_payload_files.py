"""`contracts check` reads payloads as they come: directories, patterns, compressed, a line each, captured, UTF-16."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from contracts.errors import Exit
from contracts.fixtures.corpus import ROOT
from contracts.replay.events.capture import Capture
from tests.contracts.conftest import RunContracts
from tests.support.payloads import SPEC_EXAMPLE, SPEC_EXAMPLE_PATH, event

EXAMPLE = SPEC_EXAMPLE_PATH.read_bytes()
GOOD = json.dumps(SPEC_EXAMPLE).encode()
BROKEN = json.dumps(event(cadence="hourly")).encode()
CAPTURED = Capture("kaizen.schedule.prepared", SPEC_EXAMPLE, origin="KAIZEN_SCHEDULE #17").to_line()
CAPTURED_BROKEN = Capture("staging.prepared", event(cadence="hourly"), origin="KAIZEN_SCHEDULE #18").to_line()


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _checked(run_contracts: RunContracts, *arguments: str | Path, stdin: bytes = b"") -> tuple[int, list[Any]]:
    status, out, _ = run_contracts("check", "--report", "json", *arguments, stdin=stdin)
    return status, json.loads(out)["results"]


def _write(**files: bytes) -> None:
    for name, content in files.items():
        path = Path(name.replace("__", "/").replace("_", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_directory_stands_for_the_payload_files_in_it(jobs: str, run_contracts: RunContracts) -> None:
    _write(d__b_json=GOOD, d__a_json=BROKEN, d__sub__c_jsonl=GOOD + b"\n" + BROKEN, d__readme_md=b"x")
    _write(**{"d/.hidden/x_json": b"x"})
    Path("d/pipe.json").parent.mkdir(exist_ok=True)
    os.mkfifo("d/pipe.json")

    status, results = _checked(run_contracts, "d", "--jobs", jobs)

    assert status == 1
    assert [(each["source"], each["pass"]) for each in results] == [
        ("d/a.json", False),
        ("d/b.json", True),
        ("d/sub/c.jsonl:1", True),
        ("d/sub/c.jsonl:2", False),
    ]


def test_a_directory_without_payloads_is_nothing_checked(run_contracts: RunContracts) -> None:
    Path("d").mkdir()

    status, _, err = run_contracts("check", "d")

    assert status == Exit.NOTHING
    assert "nothing was checked in d: it holds no payload" in err


def test_a_link_to_nothing_in_a_directory_is_reported(run_contracts: RunContracts) -> None:
    _write(d__a_json=GOOD)
    Path("d/b.json").symlink_to("gone.json")

    status, _, err = run_contracts("check", "d")

    assert status == Exit.USAGE
    assert "cannot read d/b.json: No such file or directory" in err


def test_a_corpus_is_checked_without_the_files_that_only_describe_it(run_contracts: RunContracts) -> None:
    home = ROOT / "kaizen.schedule.prepared" / "1"

    _, results = _checked(run_contracts, home)

    checked = {Path(each["source"]).relative_to(home).as_posix() for each in results}
    rules = {finding["rule"] for each in results for finding in each["findings"]}
    assert "fixture/breaks" not in rules
    assert {"valid/spec-example.json", "wire/utf-16.bin", "scenarios/daily-json/event.json"} <= checked
    assert not any(name.endswith(("SEALS.json", "scenario.json")) or name.startswith("bundles/") for name in checked)


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        ("d/*.json", ["d/a.json", "d/b.json"]),
        ("d/[b-z].json", ["d/b.json"]),
        ("**/c.*", ["d/sub/c.json"]),
        ("d/su?", ["d/sub/c.json"]),
    ],
)
def test_a_pattern_that_no_shell_expanded_is_expanded(
    pattern: str, sources: list[str], run_contracts: RunContracts
) -> None:
    _write(d__a_json=GOOD, d__b_json=GOOD, d__sub__c_json=GOOD)

    status, results = _checked(run_contracts, pattern)

    assert (status, [each["source"] for each in results]) == (0, sources)


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(run_contracts: RunContracts) -> None:
    Path("[a]*.json").write_bytes(GOOD)
    Path("a.json").write_bytes(BROKEN)

    assert _checked(run_contracts, "[a]*.json")[0] == 0


def test_a_pattern_that_nothing_matches_is_unreadable_input(run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("check", "no*.json")

    assert status == Exit.USAGE
    assert "cannot read no*.json: no file matches this pattern" in err


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstd.compress)])
def test_compressed_files_are_read_and_their_command_reproduces(
    ending: str, pack: Any, run_contracts: RunContracts
) -> None:
    Path(f"one.json{ending}").write_bytes(pack(BROKEN))
    Path(f"many.jsonl{ending}").write_bytes(pack(GOOD + b"\n" + BROKEN + b"\n"))

    status, results = _checked(run_contracts, f"one.json{ending}", f"many.jsonl{ending}")
    _, piped = _checked(run_contracts, "-", stdin=Path(f"one.json{ending}").read_bytes())

    assert status == 1
    assert [each["source"] for each in results] == [f"one.json{ending}", *(f"many.jsonl{ending}:{n}" for n in (1, 2))]
    assert [[each["rule"] for each in result["findings"]] for result in results] == [
        ["cadence/enum"],
        [],
        ["cadence/enum"],
    ]
    assert [each["rule"] for each in piped[0]["findings"]] == ["cadence/enum"]
    if ending == ".gz":  # the program zstd may be missing
        program = f'contracts() {{ {shlex.quote(sys.executable)} -m contracts "$@"; }}\n'
        command = results[2]["findings"][0]["reproduce"]
        again = subprocess.run(
            ["bash", "-c", program + command],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin"},
        )
        assert "cadence/enum" in again.stdout


@pytest.mark.parametrize(
    "raw", [b"\x1f\x8b", gzip.compress(GOOD)[:-9], b"\x28\xb5\x2f\xfdxxxx", zstd.compress(GOOD)[:-3]]
)
def test_compressed_data_that_is_damaged_is_unreadable_input(raw: bytes, run_contracts: RunContracts) -> None:
    Path("x.json").write_bytes(raw)

    status, _, err = run_contracts("check", "x.json")

    assert status == Exit.USAGE
    assert "cannot read x.json: " in err


def test_what_unpacks_to_more_than_any_payload_is_read_no_further(run_contracts: RunContracts) -> None:
    Path("bomb.json.gz").write_bytes(gzip.compress(bytes(64 << 20)))

    status, (result,) = _checked(run_contracts, "bomb.json.gz")

    assert status == 1
    assert [(each["rule"], each["found"]) for each in result["findings"]] == [
        ("boundary/size", "more than 8,388,608 bytes")
    ]


def test_a_line_that_is_longer_than_any_payload_is_one_finding(run_contracts: RunContracts) -> None:
    Path("x.jsonl").write_bytes(GOOD + b"\n" + b"x" * (20 << 20) + b"\n" + GOOD)

    status, results = _checked(run_contracts, "x.jsonl")

    assert status == 1
    assert [(each["source"], [found["rule"] for found in each["findings"]]) for each in results] == [
        ("x.jsonl:1", []),
        ("x.jsonl:2", ["boundary/size"]),
        ("x.jsonl:3", []),
    ]


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (GOOD + b"\n" + BROKEN + b"\n", [1, 2]),
        (GOOD + b"\r\n\r\n \t\r\n" + BROKEN + b"\r\n", [1, 4]),
        (b"\n\n" + GOOD + b"\n" + GOOD, [3, 4]),
        (GOOD[:40] + b"\n" + GOOD + b"\n" + GOOD, [1, 2, 3]),
        (CAPTURED + CAPTURED, [1, 2]),
        (EXAMPLE, [None]),
        (GOOD, [None]),
        (GOOD + b"\n\n", [None]),
        (b"[\n" + GOOD + b",\n" + GOOD + b"\n]", [None]),
        (b"{}\n", [None]),
    ],
)
@pytest.mark.parametrize("is_piped", [False, True])
def test_json_lines_are_recognised_and_other_texts_are_one_payload(
    raw: bytes, lines: list[int | None], run_contracts: RunContracts, *, is_piped: bool
) -> None:
    Path("x.json").write_bytes(raw)

    _, results = _checked(run_contracts, *(["-"] if is_piped else ["x.json"]), stdin=raw)

    name = "<stdin>" if is_piped else "x.json"
    assert [each["source"].partition(" (")[0] for each in results] == [
        f"{name}:{line}" if line else name for line in lines
    ]


def test_a_capture_is_checked_by_its_event_and_named_by_its_origin(run_contracts: RunContracts) -> None:
    Path("x.jsonl").write_bytes(CAPTURED + CAPTURED_BROKEN + GOOD)

    status, results = _checked(run_contracts, "x.jsonl")

    assert status == 1
    assert [(each["source"], [found["rule"] for found in each["findings"]]) for each in results] == [
        ("x.jsonl:1 (kaizen.schedule.prepared, KAIZEN_SCHEDULE #17)", []),
        ("x.jsonl:2 (staging.prepared, KAIZEN_SCHEDULE #18)", ["cadence/enum"]),
        ("x.jsonl:3", []),
    ]
    assert results[1]["findings"][0]["fixture_line"] == 2


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        (b'{"schema": "kaizen.capture/2"}', 2, "x.jsonl:1 is a capture of another version"),
        (b'{"schema": "kaizen.capture/1"}', 2, "x.jsonl:1 is not a capture"),
        (b'{"schema": "kaizen.capture/1", NaN', 1, ""),
        (json.dumps(event(repo="kaizen.capture/1")).encode(), 1, ""),
    ],
)
def test_a_damaged_capture_is_unreadable_a_payload_that_mentions_one_is_not(
    line: bytes, status: int, says: str, run_contracts: RunContracts
) -> None:
    Path("x.jsonl").write_bytes(line + b"\n" + GOOD)

    done, out, err = run_contracts("check", "x.jsonl")

    assert done == status
    assert says in err
    assert " of 1 payload pass" in out or " of 2 payloads pass" in out


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_wide_encodings_are_named(encoding: str, name: str, run_contracts: RunContracts) -> None:
    Path(name).write_bytes(EXAMPLE.decode().encode(encoding))

    status, (result, *_) = _checked(run_contracts, name)

    (finding,) = result["findings"]
    assert status == 1
    assert finding["rule"] == "payload/encoding"
    assert finding["found"].startswith(encoding.upper().removesuffix("-LE").removesuffix("-BE"))


def test_a_byte_order_mark_is_named(run_contracts: RunContracts) -> None:
    _, (result,) = _checked(run_contracts, "-", stdin=b"\xef\xbb\xbf" + GOOD)

    assert [each["rule"] for each in result["findings"]] == ["payload/bom"]


@pytest.mark.parametrize(("raw", "found"), [(b"", "nothing: 0 bytes"), (b" \r\n", "white space only")])
def test_an_empty_file_is_named_as_such(raw: bytes, found: str, run_contracts: RunContracts) -> None:
    Path("x.json").write_bytes(raw)

    status, (result,) = _checked(run_contracts, "x.json")

    assert (status, result["findings"][0]["found"]) == (1, found)


def test_an_empty_file_of_lines_is_nothing_checked(run_contracts: RunContracts) -> None:
    Path("x.jsonl").write_bytes(b"\n\n")

    assert run_contracts("check", "x.jsonl")[0] == Exit.NOTHING


def test_a_device_without_end_is_read_no_further_than_a_payload(run_contracts: RunContracts) -> None:
    status, (result,) = _checked(run_contracts, "/dev/zero")

    assert (status, [each["rule"] for each in result["findings"]]) == (1, ["boundary/size"])


def test_lines_are_checked_as_they_arrive() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "contracts", "check", "--jsonl", "--report", "ndjson", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(BROKEN + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["rule"] == "cadence/enum"
        process.stdin.close()
        assert process.wait(30) == 1
