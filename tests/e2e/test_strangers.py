"""An endpoint where no S3 store answers ends each command with status 4 and a description of what answers there."""

from __future__ import annotations

import pytest

from tests.e2e.kit import Kit
from tests.support.scripted import answer_of, answering, both

CONSOLE = answer_of("200 OK", b"<!doctype html><title>MinIO Console</title>", "Content-Type: text/html")


@pytest.mark.parametrize("driver", ["direct", "boto3"])
@pytest.mark.parametrize(
    "words",
    [["ls"], ["ls", "--json"], ["verify"], ["get", "ab" * 32], ["run", "--until-idle"], ["init"], ["doctor"]],
    ids=" ".join,
)
def test_a_console_in_the_place_of_the_store_is_named(kit: Kit, driver: str, words: list[str]) -> None:
    with answering(both(CONSOLE)) as access:
        done = kit.archiver(*words, status=4, AWS_ENDPOINT_URL_S3=str(access.endpoint_url), ARCHIVER_STORE=driver)

    said = (done.stdout + done.stderr).decode()
    assert "a web page titled 'MinIO Console'" in said
    assert "console on 9001" in said
