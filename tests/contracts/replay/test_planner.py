"""A plan is written whole or not at all, and holds what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import BadInput
from contracts.replay.plan.messages import PLAN, Outgoing, ReplayRun, read_messages, read_run, write_plan
from contracts.replay.plan.planner import matches

RUN = ReplayRun("r1", "staging", "nats://bus:4222", "STAGING", 2, 1.5, "2026-06-17T12:00:00Z", 17)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
MESSAGES = st.lists(
    st.builds(
        Outgoing,
        number=st.just(0),
        due_s=st.floats(0, 1e6),
        subject=TEXTS,
        payload=TEXTS.map(str.encode),
        event_key=st.binary(min_size=32, max_size=32).map(bytes.hex),
        origin=TEXTS,
        bundle_from=st.none() | TEXTS,
    ),
    max_size=4,
).map(lambda messages: [replace(each, number=number) for number, each in enumerate(messages)])


@given(MESSAGES)
def test_a_plan_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Outgoing]
) -> None:
    folder = tmp_path_factory.mktemp("run")

    write_plan(folder, messages, lambda: RUN)

    assert [path.name for path in folder.iterdir()] == [PLAN]
    assert (read_run(folder), list(read_messages(folder))) == (RUN, messages)


def test_a_plan_that_was_broken_off_is_no_plan(tmp_path: Path) -> None:
    def broken_off() -> Iterator[Outgoing]:
        yield Outgoing(0, 0.0, "a", b"{}", "k", "o")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_plan(tmp_path, broken_off(), lambda: RUN)

    with pytest.raises(BadInput, match="cannot read"):
        read_run(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot write .*missing"):
        write_plan(tmp_path / "missing", [], lambda: RUN)


def test_a_run_that_says_too_much_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too long"):
        write_plan(tmp_path, [], lambda: ReplayRun("r", "x" * 5000, "u", None, 0, 0.0, "t"))


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("a", "a.b", False),
    ],
)
def test_subjects_are_chosen_as_nats_does(pattern: str, subject: str, expected: bool) -> None:  # noqa: FBT001
    assert matches(pattern, subject) is expected
