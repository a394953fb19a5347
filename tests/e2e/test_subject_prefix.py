"""Two archivers on one NATS: the one with a prefix before its subjects, and the live one, which notices nothing."""

from __future__ import annotations

import json

from nats.aio.client import Client

from tests.e2e.kit import Kit
from tests.support.builders import BUNDLE, PREPARED, event


def everything(kit: Kit) -> dict[str, tuple[list[str], int]]:
    """Say of every stream which subjects it takes and how many messages it holds."""

    async def steps(client: Client) -> dict[str, tuple[list[str], int]]:
        found = await client.jetstream().streams_info()
        return {str(each.config.name): (each.config.subjects or [], each.state.messages) for each in found}

    return kit.on_the_bus(steps)


def test_staging_has_streams_of_its_own_beside_those_of_the_live_archiver(kit: Kit, staging: Kit) -> None:
    assert everything(kit) == {
        "KAIZEN_SCHEDULE": (["kaizen.schedule.>"], 0),
        "KAIZEN_ARCHIVE_DLQ": (["kaizen.archive.failed"], 0),
        "STAGING_KAIZEN_SCHEDULE": (["staging.kaizen.schedule.>"], 0),
        "STAGING_KAIZEN_ARCHIVE_DLQ": (["staging.kaizen.archive.failed"], 0),
    }
    kit.archiver("init")
    staging.archiver("init")


def test_a_staging_event_is_archived_and_announced_there_and_keeps_its_contract(kit: Kit, staging: Kit) -> None:
    this = staging.publish(event())

    staging.archiver("run", "--until-idle")

    [reference] = map(json.loads, staging.objects("refs/").values())
    assert (reference["source"]["subject"], reference["event"]["event"]) == (f"staging.{PREPARED}", PREPARED)
    [said] = staging.follow_ups()
    assert this is not None
    assert (said["event"], said["source_event"]["sha256"]) == ("kaizen.schedule.archived", this.key)
    (staging.home / "said.json").write_text(json.dumps(said))
    staging.command("contracts", "check", staging.home / "said.json")
    assert kit.objects() == {}
    assert kit.follow_ups() == []


def test_what_staging_cannot_archive_is_buried_and_redriven_in_staging(kit: Kit, staging: Kit) -> None:
    this = staging.publish(event(), bundle=None)
    staging.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0")
    [letter] = staging.letters()
    assert letter["subject"] == f"staging.{PREPARED}"
    assert kit.letters() == []

    kit.archiver("dead", "list", status=3)
    assert b"bundle_missing" in staging.archiver("dead", "list").stdout
    assert this is not None
    staging.leave(this, BUNDLE)
    staging.archiver("dead", "redrive", "--all")
    staging.archiver("run", "--until-idle")

    assert len(staging.objects("refs/")) == 1
    assert everything(kit)["KAIZEN_SCHEDULE"] == (["kaizen.schedule.>"], 0)


def test_doctor_holds_the_streams_of_staging_against_its_prefix(staging: Kit) -> None:
    def found(**changes: str) -> dict[str, str]:
        said = staging.archiver("doctor", "--json", status=1, **changes).stdout  # 1: the bucket keeps no versions
        checks = map(json.loads, said.splitlines())
        return {each["group"]: each["verdict"] for each in checks if each["name"] in {"subjects", "filter_subject"}}

    assert found() == dict.fromkeys(
        ("stream STAGING_KAIZEN_SCHEDULE", "stream STAGING_KAIZEN_ARCHIVE_DLQ", "consumer archiver"), "ok"
    )
    wrong = found(ARCHIVER_STREAM="KAIZEN_SCHEDULE")
    assert (wrong["stream KAIZEN_SCHEDULE"], wrong["consumer archiver"]) == ("differs", "differs")
