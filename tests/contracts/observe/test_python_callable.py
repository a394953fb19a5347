"""A callable is observed: called with a scenario's values, whatever it returns or raises is data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from contracts.errors import BadInput
from contracts.observe.observation import Observed
from contracts.observe.python_callable import observe_callable

VALUES = {"agent": "coach", "root": "/home/x y", "cadence": "daily"}
SOURCE = """
    import sys, threading
    from functools import partial

    def as_dict(agent, root): return {"agent": agent, "root": root}
    def as_text(agent): return f'"{agent}"'
    def as_bytes(*, agent): return b"\\xff" + agent.encode()
    def everything(**values): return values
    def with_default(agent, tries=3): return [agent, tries]
    def nothing(): return None
    def blank(): return b" \\n"
    def raises(): raise ValueError("no such agent")
    def raises_lines(): raise ValueError("no such agent\\nsee https://example.com")
    def raises_group(): raise ExceptionGroup("two of them", [ValueError("a"), ValueError("b")])
    def raises_secret(): raise ValueError("password=hunter2-hunter2")
    def leaves(): sys.exit("wrong usage")
    def not_json(): return {1, 2}
    def hangs(): threading.Event().wait()
    def wants(agent, colour, size): return {}
    bound = partial(as_dict, root="/elsewhere")
    not_callable = 5

    class Emitter:
        def __call__(self, agent): return {"agent": agent}

    instance = Emitter()
"""


@pytest.fixture(autouse=True)
def _emitters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "emitter_under_test.py").write_text(dedent(SOURCE), "utf-8")
    (tmp_path / "emitter_with_syntax_error.py").write_text("def", "utf-8")
    (tmp_path / "emitter_that_raises.py").write_text("raise RuntimeError('no configuration')", "utf-8")
    (tmp_path / "emitter_without_dependency.py").write_text("import no_such_dependency", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", __import__("sys").path.copy())
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    yield
    __import__("sys").modules.pop("emitter_under_test", None)


def call(name: str, timeout_s: float = 20) -> Observed:
    return observe_callable(f"emitter_under_test:{name}", VALUES, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("as_dict", b'{"agent": "coach", "root": "/home/x y"}'),
        ("as_text", b'"coach"'),
        ("as_bytes", b"\xffcoach"),
        ("everything", json.dumps(VALUES).encode()),
        ("with_default", b'["coach", 3]'),
        ("bound", b'{"agent": "coach", "root": "/home/x y"}'),
        ("instance", b'{"agent": "coach"}'),
    ],
)
def test_it_is_called_with_the_values_that_it_has_parameters_for(name: str, raw: bytes) -> None:
    observed = call(name)
    assert [(each.raw, each.where) for each in observed.observations] == [(raw, f"emitter_under_test:{name}")]
    assert observed.violations == ()


@pytest.mark.parametrize(
    ("name", "rule", "found"),
    [
        ("nothing", "emitter/nothing", "None"),
        ("blank", "emitter/nothing", "blank"),
        ("raises", "emitter/raises", "ValueError: no such agent"),
        ("raises_lines", "emitter/raises", "ValueError: no such agent"),
        ("raises_group", "emitter/raises", "ExceptionGroup: two of them"),
        ("leaves", "emitter/raises", "SystemExit: wrong usage"),
        ("not_json", "emitter/raises", "set is not JSON serializable"),
    ],
)
def test_what_it_does_wrong_is_a_finding(name: str, rule: str, found: str) -> None:
    observed = call(name)
    assert observed.observations == ()
    assert [each.rule for each in observed.violations] == [rule]
    assert found in observed.violations[0].found


def test_a_secret_in_an_exception_is_not_shown() -> None:
    observed = call("raises_secret")
    assert [each.rule for each in observed.violations] == ["emitter/raises"]
    assert "hunter2" not in str(observed)


def test_one_that_does_not_return_ends_with_the_time_limit() -> None:
    observed = call("hangs", timeout_s=0.2)
    assert [(each.rule, each.found) for each in observed.violations] == [
        ("emitter/time-limit", "it had not returned after 0.2 s")
    ]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("no_such_module:emit", "No module named 'no_such_module'"),
        ("emitter_under_test:missing", "has no attribute 'missing'"),
        ("emitter_under_test", "expected py:package.module:callable"),
        (":emit", "expected py:package.module:callable"),
        ("emitter_with_syntax_error:emit", "invalid syntax"),
        ("emitter_that_raises:emit", "no configuration"),
        ("emitter_without_dependency:emit", "No module named 'no_such_dependency'"),
        ("emitter_under_test:not_callable", "is int, expected a callable"),
        ("builtins:dict", "cannot read the signature"),
    ],
)
def test_what_cannot_be_called_at_all_is_wrong_usage(target: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        observe_callable(target, VALUES, timeout_s=5)


def test_a_parameter_that_nothing_fills_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BadInput, match="needs colour, size, which nothing fills\n  known: agent, root, cadence"):
        call("wants")
