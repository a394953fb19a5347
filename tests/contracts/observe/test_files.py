"""What an emitter wrote is observed: a file, a directory of them, JSONL, standard input."""

from __future__ import annotations

from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from contracts.errors import BadInput
from contracts.observe.files import observe_files


def seen(target: Path | str) -> list[tuple[str, bytes]]:
    return [(each.where, each.raw) for each in observe_files(str(target)).observations]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", b'{"a": 1}\n', [("", b'{"a": 1}\n')]),
        ("a.json", b'{\n "a": 1\n}\n', [("", b'{\n "a": 1\n}\n')]),
        ("a.txt", b'{"a": 1}\n{"a": 2}\n', [(":1", b'{"a": 1}'), (":2", b'{"a": 2}')]),
        ("a.jsonl", b'{"a": 1}\r\n\r\n{"a": 2}', [(":1", b'{"a": 1}'), (":3", b'{"a": 2}')]),
        ("a.jsonl", b'{"a": 1}\n{"a": \n{"a": 3}\n', [(":1", b'{"a": 1}'), (":2", b'{"a": '), (":3", b'{"a": 3}')]),
        ("a.ndjson", b"oops\n", [("", b"oops\n")]),
        ("a.json", b'banner\n{"a": 1}\n', [("", b'banner\n{"a": 1}\n')]),
        ("a.json", b"\xff\xfe{", [("", b"\xff\xfe{")]),
        ("a.json", b'["\xe2\x80\xa8"]\n["\xc2\x85"]', [(":1", b'["\xe2\x80\xa8"]'), (":2", b'["\xc2\x85"]')]),
    ],
)
def test_the_events_of_a_file(name: str, content: bytes, expected: list[tuple[str, bytes]], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert seen(path) == [(f"{path}{line}", raw) for line, raw in expected]


@pytest.mark.parametrize("content", [b"", b"\n \n"], ids=["empty", "blank"])
def test_a_file_without_an_event_is_a_failure_of_its_own(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    observed = observe_files(str(path))
    assert observed.observations == ()
    assert [(each.rule, each.found) for each in observed.violations] == [("emitter/nothing", f"no event in {path}")]


def test_a_directory_is_all_its_json_files_in_order_at_every_depth(tmp_path: Path) -> None:
    for name in ("b.json", "a/c.jsonl", "a/d.ndjson", "a/e.txt", "README"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f'"{name}"\n'.encode())
    (tmp_path / "folder.json").mkdir()
    assert [Path(where).relative_to(tmp_path).as_posix() for where, _ in seen(tmp_path)] == [
        "a/c.jsonl",
        "a/d.ndjson",
        "b.json",
    ]


def test_a_directory_without_events_is_a_failure_of_its_own(tmp_path: Path) -> None:
    assert [each.rule for each in observe_files(str(tmp_path)).violations] == ["emitter/nothing"]


def test_a_file_uri_with_slashes_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"{}")
    assert [raw for _, raw in seen(f"//{tmp_path}/a.json")] == [b"{}"]


@pytest.mark.parametrize(
    ("raw", "events"),
    [(b"{}\n[]\n", [("<stdin>:1", b"{}"), ("<stdin>:2", b"[]")]), (b"{}", [("<stdin>", b"{}")]), (b"", [])],
)
def test_standard_input_is_read_to_its_end(
    raw: bytes, events: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(raw), "utf-8"))
    assert seen("-") == events


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*nowhere\.json: No such file"):
        observe_files(str(tmp_path / "nowhere.json"))
