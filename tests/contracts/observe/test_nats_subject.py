"""A NATS subject is observed on a real server: confirmed before anything is triggered, and to its end."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg
from nats.js.api import RetentionPolicy, StreamConfig

from contracts.bus.access import NatsAccess
from contracts.errors import BadInput, Unreachable
from contracts.model.violation import Violation
from contracts.observe.nats_subject import Watch, _Heard, _Stream, observe_subject
from contracts.observe.observation import Observed
from tests.support.bus import Bus, make_stream, publish
from tests.support.servers import require_binary

every_transport = pytest.mark.parametrize("stream", [None, "TESTS"], ids=["core NATS", "JetStream"])


@pytest.fixture
def subject() -> str:
    return f"tests.{uuid.uuid4().hex}"


def says(bus: Bus, subject: str, *payloads: bytes, **headers: str) -> Callable[[], list[Violation]]:
    """A trigger that publishes at once."""

    def trigger() -> list[Violation]:
        publish(bus.url, subject, *payloads, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return []

    return trigger


def observe(bus: Bus, subject: str, *payloads: bytes, on: str | None = None, **how: Any) -> Observed:
    """Watch `subject` while `payloads` are published on it, or on `on`."""
    watch = Watch(subject, **{"timeout_s": 20.0, **how})
    return observe_subject(NatsAccess(bus.url), watch, says(bus, on or subject, *payloads))


def raws(observed: Observed) -> list[bytes]:
    return [each.raw for each in observed.observations]


def found(observed: Observed) -> list[tuple[str, str]]:
    return [(each.rule, each.found) for each in observed.violations]


@every_transport
def test_an_emitter_that_speaks_at_once_is_never_missed(stream: str | None, bus: Bus, subject: str) -> None:
    for number in range(20):
        observed = observe(bus, subject, b"%d" % number, stream=stream)
        assert (raws(observed), observed.violations) == ([b"%d" % number], ())


@every_transport
def test_the_server_has_confirmed_the_subscription_when_the_trigger_starts(stream: str | None, tmp_path: Path) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path, trace=True, jetstream={"store_dir": str(tmp_path / "jetstream")}) as server:
        make_stream(server.url, "TESTS", "tests.>")
        logs: list[str] = []

        def trigger() -> list[Violation]:
            logs.append(server.log.read_text())
            return []

        observe_subject(NatsAccess(server.url), Watch("tests.x", timeout_s=0.1, stream=stream), trigger)
        assert 0 < logs[0].rindex("<<- [SUB tests.x") < logs[0].rindex("<<- [PING]") < logs[0].rindex("->> [PONG]")


@every_transport
def test_subject_headers_and_bytes_are_seen_as_they_were_sent(stream: str | None, bus: Bus, subject: str) -> None:
    watch = Watch(f"{subject}.>", timeout_s=20, stream=stream)
    trigger = says(bus, f"{subject}.a.b", b"\xff\x00 {", Nats_Msg_Id=subject, Other="y")
    (one,) = observe_subject(NatsAccess(bus.url), watch, trigger).observations
    assert (one.raw, one.subject) == (b"\xff\x00 {", f"{subject}.a.b")
    assert {"Nats-Msg-Id": subject, "Other": "y"}.items() <= one.headers.items()
    assert one.is_confirmed == (stream is not None)
    assert one.where.startswith("TESTS #" if stream else f"{subject}.a.b")


@every_transport
def test_observation_ends_at_the_wanted_number(stream: str | None, bus: Bus, subject: str) -> None:
    observed = observe(bus, subject, b"1", b"2", b"3", stream=stream, count=3)
    assert (raws(observed), observed.violations) == ([b"1", b"2", b"3"], ())


@every_transport
@pytest.mark.parametrize(("count", "told"), [(1, "exactly one event"), (2, "exactly 2 events")])
def test_more_than_was_wanted_is_a_finding(stream: str | None, count: int, told: str, bus: Bus, subject: str) -> None:
    observed = observe(bus, subject, *[b"x"] * (count + 1), stream=stream, count=count)
    assert found(observed) == [("emitter/one-event", f"{count + 1} events")]
    assert observed.violations[0].expected == told
    assert len(observed.observations) == count + 1


@every_transport
def test_every_event_after_the_first_is_counted_when_there_are_many(stream: str | None, bus: Bus, subject: str) -> None:
    observed = observe(bus, subject, *[b"%d" % number for number in range(300)], stream=stream)
    assert found(observed) == [("emitter/one-event", "300 events")]
    assert raws(observed)[-1] == b"299"


class _Late:
    """Both sides of a race that a real server loses too seldom for a test: said already, and not yet stored."""

    num_pending = 0

    def __init__(self, *messages: Msg) -> None:
        self._said, self._to_store = list(messages), list(messages)

    async def rest(self) -> list[_Heard]:
        return [_Heard.of(message) for message in self._said]

    async def consumer_info(self) -> _Late:
        return self

    async def fetch(self, _count: int, timeout: float) -> list[Msg]:  # noqa: ASYNC109 - nats-py's signature
        if not self._to_store:
            raise TimeoutError(timeout)
        return [self._to_store.pop(0)]


def test_what_a_stream_stores_a_moment_later_is_waited_for() -> None:
    messages = [
        Msg(None, "tests.x", reply=f"$JS.ACK.TESTS.c.1.{number}.{number}.0.0", data=data)  # type: ignore[arg-type]
        for number, data in enumerate((b"1", b"1", b"2"), 1)
    ]
    late = _Late(*messages)

    async def rest() -> list[_Heard]:
        return await _Stream(late, late).rest()  # type: ignore[arg-type]

    assert [(each.sequence, each.data) for each in asyncio.run(rest())] == [(1, b"1"), (2, b"1"), (3, b"2")]


class Greedy:
    """A work queue or interest stream, and a worker that takes each message as soon as it is there."""

    def __init__(self, bus: Bus, retention: RetentionPolicy, *, is_greedy: bool) -> None:
        self._bus, self._retention, self._is_greedy = bus, retention, is_greedy
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()))
        self._ready = threading.Event()

    def __enter__(self) -> Bus:
        self._thread.start()
        assert self._ready.wait(30)
        return self._bus

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    async def _work(self) -> None:
        client = await nats.connect(self._bus.url)
        context = client.jetstream()
        await context.add_stream(StreamConfig(name="QUEUE", subjects=["queue.>"], retention=self._retention))
        pull = await context.pull_subscribe("queue.>", durable="worker", stream="QUEUE")
        self._ready.set()
        while not self._ended.is_set():
            if not self._is_greedy:
                await asyncio.to_thread(self._ended.wait)
                break
            with suppress(TimeoutError):
                for message in await pull.fetch(10, timeout=0.1):
                    await message.ack_sync()
        await client.close()


@pytest.mark.parametrize("is_greedy", [False, True], ids=["kept", "taken at once"])
@pytest.mark.parametrize("retention", [RetentionPolicy.WORK_QUEUE, RetentionPolicy.INTEREST])
def test_a_stream_whose_messages_a_worker_takes_is_observed_without_taking_any(
    retention: RetentionPolicy,
    is_greedy: Any,
    tmp_path: Path,
) -> None:
    require_binary(Bus.binary)
    own = Bus(tmp_path, jetstream={"store_dir": str(tmp_path / "jetstream")})
    with own, Greedy(own, retention, is_greedy=is_greedy):
        for number in range(3):
            payload = b'{"agent": "%d"}' % number
            observed = observe(own, "queue.a", payload, stream="QUEUE")
            assert (raws(observed), observed.violations) == ([payload], ())
            assert observed.observations[0].is_confirmed
            assert observed.observations[0].where in {f"QUEUE #{number + 1}", "QUEUE #?"}
        many = observe(own, "queue.a", *[b"%d" % number for number in range(100)], stream="QUEUE")
        assert found(many) == [("emitter/one-event", "100 events")]
        assert sorted(raws(many)) == sorted(b"%d" % number for number in range(100))
        twice = observe_subject(
            NatsAccess(own.url),
            Watch("queue.a", timeout_s=20, stream="QUEUE"),
            says(own, "queue.a", b"1", b"1", Nats_Msg_Id="same"),
        )
        assert (raws(twice), twice.violations) == ([b"1"], ())
        silent = observe(own, "queue.a", b"x", on="queue.b", stream="QUEUE", timeout_s=0.3)
        assert found(silent) == [("emitter/nothing", "nothing on queue.a within 0.3 s")]
        if not is_greedy:
            kept = Watch("queue.a", timeout_s=20, stream="QUEUE", from_sequence=2, count=2)
            assert raws(observe_subject(NatsAccess(own.url), kept, None)) == [b'{"agent": "1"}', b'{"agent": "2"}']


@every_transport
def test_correlation_picks_ours_among_what_others_say(stream: str | None, bus: Bus, subject: str) -> None:
    others = [b'{"agent": "rover"}', b'{"agent": "coach"}', b"not JSON", b'{"agent": ["coach"]}', b"[]"]
    ours = json.dumps({"agent": "coach", "bundle": {"format": "json"}}).encode()
    wanted = (("/agent", "coach"), ("/bundle/format", "json"))
    observed = observe(bus, subject, *others, ours, *others, stream=stream, correlate=wanted)
    assert (raws(observed), observed.violations) == ([ours], ())


@every_transport
def test_silence_is_a_finding_at_the_time_limit(stream: str | None, bus: Bus, subject: str) -> None:
    observed = observe(bus, subject, stream=stream, timeout_s=0.3)
    assert observed.observations == ()
    assert found(observed) == [("emitter/nothing", f"nothing on {subject} within 0.3 s")]


def test_what_did_not_match_is_counted_in_the_finding(bus: Bus, subject: str) -> None:
    observed = observe(bus, subject, b"{}", b"{}", correlate=(("/agent", "coach"),), timeout_s=0.3)
    assert found(observed) == [("emitter/nothing", f"nothing on {subject} within 0.3 s; 2 others did not match")]


def test_too_few_is_a_finding_and_those_there_were_are_seen(bus: Bus, subject: str) -> None:
    observed = observe(bus, subject, b"1", count=2, timeout_s=0.3)
    assert found(observed) == [("emitter/nothing", f"1 on {subject} within 0.3 s")]
    assert raws(observed) == [b"1"]


def test_a_misspelt_subject_is_seen_through_a_wildcard_and_not_without(bus: Bus, subject: str) -> None:
    assert raws(observe(bus, f"{subject}.>", b"1", on=f"{subject}.misspelt")) == [b"1"]
    assert raws(observe(bus, f"{subject}.right", b"1", on=f"{subject}.misspelt", timeout_s=0.3)) == []


def test_what_a_stream_has_kept_is_seen_from_a_sequence_number_on(tmp_path: Path) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path, jetstream={"store_dir": str(tmp_path / "jetstream")}) as own:
        make_stream(own.url, "KEPT", "kept.*")
        publish(own.url, "kept.a", b"1", b"2", b"3")
        for first, expected in [(1, [b"1", b"2", b"3"]), (2, [b"2", b"3"]), (3, [b"3"])]:
            watch = Watch("kept.a", timeout_s=20, stream="KEPT", from_sequence=first, count=len(expected))
            observed = observe_subject(NatsAccess(own.url), watch, None)
            assert (raws(observed), observed.violations) == (expected, ())
            assert observed.observations[0].where == f"KEPT #{first}"


def test_a_repeat_under_one_message_id_is_one_event_of_the_stream(bus: Bus, subject: str) -> None:
    watch = Watch(subject, timeout_s=20, stream="TESTS")
    observed = observe_subject(NatsAccess(bus.url), watch, says(bus, subject, b"1", b"1", Nats_Msg_Id=subject))
    assert (raws(observed), observed.violations) == ([b"1"], ())


def test_what_was_said_before_is_not_ours(bus: Bus, subject: str) -> None:
    publish(bus.url, subject, b"before")
    assert raws(observe(bus, subject, b"now", stream="TESTS")) == [b"now"]


def test_what_is_wrong_with_the_trigger_is_reported_beside_what_was_seen(bus: Bus, subject: str) -> None:
    failed = Violation("emitter/exit-status", "error", "", "exit status 3", "exit status 0")  # type: ignore[arg-type]

    def trigger() -> list[Violation]:
        return [*says(bus, subject, b"1")(), failed]

    observed = observe_subject(NatsAccess(bus.url), Watch(subject, timeout_s=20), trigger)
    assert (raws(observed), observed.violations) == ([b"1"], (failed,))


def test_a_trigger_that_cannot_be_run_says_so_at_once(bus: Bus, subject: str) -> None:
    def trigger() -> list[Violation]:
        raise BadInput("cannot start it")

    with pytest.raises(BadInput, match="cannot start it"):
        observe_subject(NatsAccess(bus.url), Watch(subject, timeout_s=100), trigger)


@every_transport
def test_without_a_trigger_others_are_watched_and_a_second_event_is_not_counted(
    stream: str | None, bus: Bus, subject: str
) -> None:
    publish(bus.url, subject, b"1", b"2")
    watch = Watch(subject, timeout_s=0.3 if stream is None else 20, stream=stream, from_sequence=1 if stream else None)
    observed = observe_subject(NatsAccess(bus.url), watch, None)
    assert raws(observed) == ([b"1"] if stream else [])
    assert [rule for rule, _ in found(observed)] == ([] if stream else ["emitter/nothing"])


def test_a_stream_that_is_not_there_is_unreachable(bus: Bus, subject: str) -> None:
    with pytest.raises(Unreachable, match=r"cannot reach stream NOPE at nats://127.0.0.1:.*there is no such stream"):
        observe_subject(NatsAccess(bus.url), Watch(subject, timeout_s=5, stream="NOPE"), None)


@pytest.mark.parametrize("name", ["a.b", "a b", "*"])
def test_a_stream_name_that_is_none_is_wrong_usage(name: str, bus: Bus, subject: str) -> None:
    with pytest.raises(BadInput, match="is not the name of a stream"):
        observe_subject(NatsAccess(bus.url), Watch(subject, timeout_s=5, stream=name), None)


def test_a_server_without_jetstream_says_so(tmp_path: Path) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path) as plain, pytest.raises(Unreachable, match=r"cannot reach JetStream at .* has none"):
        observe_subject(NatsAccess(plain.url), Watch("x", timeout_s=5, stream="S"), None)


def test_a_server_that_is_down_is_unreachable(tmp_path: Path) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path) as gone:
        pass
    with pytest.raises(Unreachable, match=f"cannot reach NATS at nats://{gone.place}"):
        observe_subject(NatsAccess(gone.url), Watch("x", timeout_s=5), None)


@every_transport
def test_a_server_that_goes_down_meanwhile_is_unreachable_and_not_a_silent_emitter(
    stream: str | None, tmp_path: Path
) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path, jetstream={"store_dir": str(tmp_path / "jetstream")}) as server:
        make_stream(server.url, "TESTS", "tests.>")

        def trigger() -> list[Violation]:
            server.kill()
            return []

        with pytest.raises(Unreachable, match=f"cannot reach NATS at nats://{server.place}"):
            observe_subject(NatsAccess(server.url), Watch("tests.x", timeout_s=1, stream=stream), trigger)


def test_from_a_sequence_number_without_a_stream_is_wrong_usage(bus: Bus, subject: str) -> None:
    with pytest.raises(BadInput, match="--from-seq needs --stream"):
        observe_subject(NatsAccess(bus.url), Watch(subject, timeout_s=5, from_sequence=1), None)


@pytest.mark.parametrize("odd", ["a b", "a..b", ".a", "a.", ">.a", "a\tb"])
@every_transport
def test_a_subject_that_is_none_is_wrong_usage(odd: str, stream: str | None, bus: Bus) -> None:
    with pytest.raises(BadInput, match="is not a subject"):
        observe_subject(NatsAccess(bus.url), Watch(odd, timeout_s=1, stream=stream), None)
