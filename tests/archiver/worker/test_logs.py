"""The log: for people and machines, and never a place where a secret ends up."""

from __future__ import annotations

import json

import pytest

from archiver.worker.logs import open_log


def fail_with(secret: str) -> None:
    raise ZeroDivisionError(f"{len(secret)} characters")


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_defect_is_logged_with_its_traceback_and_without_the_values_of_variables(
    capsys: pytest.CaptureFixture[str], style: str
) -> None:
    log = open_log(style)
    try:
        fail_with("do-not-" + "show-me")
    except ZeroDivisionError:
        log.exception("defect")

    said = capsys.readouterr().err
    assert "defect" in said
    assert "fail_with" in said
    assert "ZeroDivisionError" in said
    assert "do-not-show-me" not in said


def test_where_no_terminal_is_each_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log = open_log("auto").bind(worker="w")
    log.info("archived", bytes=5)
    log.debug("not asked for")

    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line).items() >= {"event": "archived", "level": "info", "worker": "w", "bytes": 5}.items()


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_log_line_holds_a_secret_or_an_escape_sequence_of_somebody_else(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "ghp" + "_" + "a1B2" * 9
    open_log(style).bind(subject=f"x\x1b[2J\x9b{secret}").warning("retry", why=f"Authorization: Bearer {secret}\u202e")

    line = capsys.readouterr().err
    assert secret not in line
    assert not {"\x1b", "\x9b", "\u202e"} & set(line)
    assert "***" in line
