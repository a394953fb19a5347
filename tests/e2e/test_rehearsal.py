"""A piece of the live archive, rewritten and sent to staging: the whole chain, as docs/replay.md has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.kit import Kit
from tests.support.builders import event

CONFIGURATION = """
[targets.staging]
url = "${NATS_URL}"
stream = "STAGING_KAIZEN_SCHEDULE"
"""


@pytest.mark.parametrize(
    "rewriting", [[], ["--rewrite", "--map-root", "/home/worsch=/srv/staging"]], ids=["as it was", "rewritten"]
)
def test_archived_events_are_archived_once_more_in_staging_with_their_bundles(
    kit: Kit, staging: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewriting: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "contracts.toml").write_text(CONFIGURATION)
    bundles = [f"# Coach\n\nrun {number}\n".encode() for number in range(4)]
    for number, bundle in enumerate(bundles):
        kit.publish(event(occurred_at=f"2026-06-17T09:00:{number:02}Z", bundle={"bytes": len(bundle)}), bundle)
    kit.archiver("run", "--until-idle")
    spool = staging.environment["ARCHIVER_SPOOL"]
    captures = kit.archiver("events", "--with-bundles", spool)
    (tmp_path / "captures.jsonl").write_bytes(captures.stdout)
    worker = staging.worker()

    kit.command(
        *("contracts", "replay", "staging", "--from-file", "captures.jsonl", *rewriting),
        *(("--spool", spool) if rewriting else ()),
        *("--execute", "--await-archived", "20"),
    )

    [report] = (json.loads(path.read_bytes()) for path in tmp_path.glob("replays/*/report.json"))
    assert (report["confirmed"], report["archived"]["archived"]) == (4, 4)
    assert staging.letters() == []
    assert sorted(staging.objects("blobs/").values()) == sorted(bundles)
    roots = {json.loads(each)["event"]["root"] for each in staging.objects("refs/").values()}
    assert roots == ({"/srv/staging/kaizen-agentic"} if rewriting else {event()["root"]})
    worker.process.terminate()
    for each in (kit, staging):
        assert each.archiver("verify").stdout.endswith(b"whole\n")
