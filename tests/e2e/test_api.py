"""The public API against a real store: the examples of docs/api.md, and credentials as the command finds them."""

from __future__ import annotations

import pytest

from archiver import Settings, StoreUnavailable, load_settings, open_archive
from contracts import BadInput, PreparedEvent
from tests.e2e.kit import Kit
from tests.e2e.test_reading import put
from tests.support.builders import BUNDLE, event
from tests.support.examples import run_examples


@pytest.fixture
def archived(bare_kit: Kit, monkeypatch: pytest.MonkeyPatch) -> PreparedEvent:
    """One event in the archive, and the environment of a program that reads it."""
    for name, value in bare_kit.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return put(bare_kit, event())


def test_the_examples_in_the_documentation_do_what_they_say(
    archived: PreparedEvent, bare_kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_examples("docs/api.md", "archiver", url=f"s3://{bare_kit.store.bucket}/{bare_kit.prefix}")

    assert names["keys"] == [archived.key]
    assert names["bundle"] == BUNDLE
    out = capsys.readouterr().out
    assert f"{archived.agent} {archived.occurred_at} {len(BUNDLE)}" in out
    assert "is not in the archive" in out


def test_an_archive_may_be_named_by_settings_or_by_the_environment(
    archived: PreparedEvent, bare_kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVER_BUCKET", bare_kit.store.bucket)
    monkeypatch.setenv("ARCHIVER_PREFIX", bare_kit.prefix)
    settings = load_settings()
    assert isinstance(settings, Settings)

    for opening in (open_archive(), open_archive(settings)):
        with opening as archive:
            assert archive.read(archived.key) == BUNDLE
    with open_archive(f"s3://{bare_kit.store.bucket}/{bare_kit.prefix}x") as archive:  # not what the environment says
        assert list(archive) == []


def test_a_bucket_that_is_not_there_and_a_key_without_its_secret_are_told(
    archived: PreparedEvent, bare_kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreUnavailable), open_archive("s3://no-such-bucket-anywhere"):
        pass
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(BadInput, match="AWS_SECRET_ACCESS_KEY"):
        open_archive(f"s3://{bare_kit.store.bucket}")
    assert archived
