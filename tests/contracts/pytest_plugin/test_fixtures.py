"""The fixtures of the pytest plugin and `assert_conforms`: there, and clear about what is missing."""

from __future__ import annotations

import pytest

from contracts import BadInput, assert_conforms, load_contract
from tests.support.inner_pytest import Run, emitter


def test_the_fixtures_are_there(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(".toml", contracts='[emitters.mine]\nuri = "cmd:python3 emit.py {agent}"')
    pytester.makefile(".py", emit="import sys\nprint('{\"agent\": \"' + sys.argv[1] + '\"}')")
    pytester.makepyfile(
        """
        import json, socket, urllib.parse
        from hypothesis import given, settings, strategies as st
        from contracts import assert_conforms

        def test_contract(contract):
            assert contract.name == "kaizen.schedule.prepared@1"

        def test_golden(golden, contract):
            assert_conforms(golden("spec-example"), contract)
            assert golden("weekly-markdown")["cadence"] == "weekly"
            assert golden("spec-example") is not golden("spec-example")

        def test_payloads(payloads):
            @settings(max_examples=10)
            @given(payloads)
            def holds(payload):
                assert_conforms(payload)
            holds()

        def test_emit(emit):
            event, = emit("mine", "weekly-markdown")
            assert json.loads(event.raw) == {"agent": "coach"}
            event, = emit("cmd:echo {cadence}", "daily-json")
            assert event.raw.strip() == b"daily"

        def test_nats_server(nats_server):
            place = urllib.parse.urlsplit(nats_server.url)
            with socket.create_connection((place.hostname, place.port)) as client:
                assert client.recv(4) == b"INFO"
        """
    )

    run("test_the_fixtures_are_there.py").assert_outcomes(passed=5)


def test_the_fixtures_say_what_is_missing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(".toml", contracts=f"[emitters.bad]\nuri = '{emitter('crashes')}'")
    pytester.makepyfile(
        """
        import sys

        def test_golden(golden):
            golden("spec-exampel")

        def test_payloads(request, monkeypatch):
            monkeypatch.setitem(sys.modules, "hypothesis", None)
            request.getfixturevalue("payloads")

        def test_emit(emit):
            emit("bad", "weekly-markdown")

        def test_scenario(emit):
            emit("bad", "weekly-markdwon")
        """
    )

    result = run("test_the_fixtures_say_what_is_missing.py")

    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "no golden payload 'spec-exampel'; did you mean 'spec-example'?",
            "the fixture payloads needs Hypothesis",
            "*[[]emitter/exit-status[]]",
            "*no scenario 'weekly-markdwon'; did you mean 'weekly-markdown'?",
        ]
    )


def test_a_fixture_of_the_project_wins(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef contract(): return 'lease'")
    pytester.makepyfile("def test_it(contract): assert contract == 'lease'")

    run().assert_outcomes(passed=1)


@pytest.mark.parametrize("payload", [b'{"event": 1}', '{"event": 1}', {"event": 1}], ids=["bytes", "text", "value"])
def test_a_payload_that_breaks_its_contract_fails_with_its_findings(payload: object) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_conforms(payload, "kaizen.schedule.prepared")

    assert "/event: found the number 1, expected" in str(caught.value)
    assert "[event/type]" in str(caught.value)
    assert "spec, line" in str(caught.value)


def test_a_consumer_reads_past_a_field_that_an_emitter_may_not_send(golden) -> None:
    payload = golden("spec-example") | {"later": True}

    assert_conforms(payload, load_contract("kaizen.schedule.prepared"), profile="consumer")
    with pytest.raises(AssertionError, match="additionalProperties"):
        assert_conforms(payload)


def test_what_is_wrong_with_the_bytes_is_found_as_it_stands() -> None:
    with pytest.raises(AssertionError, match="payload/duplicate-key"):
        assert_conforms(b'{"event": 1, "event": 2}')


def test_a_contract_that_there_is_not_is_no_failed_assertion() -> None:
    with pytest.raises(BadInput, match="did you mean"):
        assert_conforms({}, "kaizen.schedule.prepare")
