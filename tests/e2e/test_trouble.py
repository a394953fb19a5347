"""What is wrong around the archiver is said in a message with the right exit status, and never as a traceback."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.kit import Kit, until
from tests.support.builders import event


@pytest.fixture(scope="module")
def closed_port() -> int:
    """A port on which nobody listens: it is taken, and never listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


EVERY_VERB = [["init"], ["run", "--until-idle"], ["ls"]]


@pytest.mark.parametrize("words", EVERY_VERB, ids=str)
def test_a_missing_bucket_is_told_with_what_to_do(kit: Kit, words: list[str]) -> None:
    said = kit.archiver(*words, status=4, ARCHIVER_BUCKET="no-such-bucket").stderr.decode()

    assert f"bucket 'no-such-bucket' does not exist at {kit.store.url}" in said
    assert "archiver init --create-bucket" in said


@pytest.mark.parametrize("words", EVERY_VERB[1:], ids=str)
def test_a_store_that_is_down_is_told_with_its_place(kit: Kit, closed_port: int, words: list[str]) -> None:
    place = f"http://127.0.0.1:{closed_port}"

    said = kit.archiver(*words, status=4, AWS_ENDPOINT_URL_S3=place).stderr.decode()

    assert f"is it running and reachable at {place}?" in said
    assert "refused" in said.lower()


@pytest.mark.parametrize("driver", ["direct", "boto3"])
def test_a_wrong_secret_is_told_and_not_repeated(kit: Kit, driver: str) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "not-the-secret", "ARCHIVER_STORE": driver}

    said = kit.archiver("run", "--until-idle", status=4, **wrong).stderr.decode()

    assert "check the credentials" in said
    assert "SignatureDoesNotMatch" in said
    assert "not-the-secret" not in said


@pytest.mark.parametrize("words", EVERY_VERB[:2], ids=str)
def test_a_nats_server_that_is_down_is_told_with_its_place_and_without_its_password(
    kit: Kit, closed_port: int, words: list[str]
) -> None:
    down = f"nats://archiver:do-not-show-me@127.0.0.1:{closed_port}"

    said = kit.archiver(*words, status=4, NATS_URL=down).stderr.decode()

    assert f"cannot reach NATS at nats://127.0.0.1:{closed_port}" in said
    assert "do-not-show-me" not in said


def test_a_wrong_nats_password_is_told_and_not_repeated(kit: Kit) -> None:
    wrong = f"nats://archiver:not-the-password@127.0.0.1:{kit.nats.port}"

    said = kit.archiver("run", "--until-idle", status=4, NATS_URL=wrong).stderr.decode()

    assert "Authorization Violation" in said
    assert "not-the-password" not in said


def test_a_stream_that_is_not_there_is_told_with_the_command_that_makes_it(bare_kit: Kit) -> None:
    said = bare_kit.archiver("run", "--until-idle", status=4).stderr.decode()

    assert "find consumer 'archiver' on stream 'KAIZEN_SCHEDULE'" in said
    assert "archiver init" in said


def test_the_settings_that_a_worker_needs_and_has_not_are_told(bare_kit: Kit) -> None:
    for variable in ("NATS_URL", "ARCHIVER_SPOOL"):
        said = bare_kit.archiver("run", status=2, **{variable: None}).stderr.decode()
        assert f"{variable} is not set; expected" in said


def test_a_nats_server_that_goes_and_comes_back_costs_a_worker_nothing(kit: Kit) -> None:
    worker = kit.worker()
    kit.nats.stop()
    worker.wait_for('"event": "nats"')

    kit.nats.start()
    kit.publish(event())

    until(lambda: kit.objects("refs/"), "a reference")
    until(kit.is_drained, "acknowledged")
    assert worker.process.poll() is None
    assert kit.letters() == []
