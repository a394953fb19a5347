"""Every report read back by somebody else's reader; what a reader would refuse raises."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import junitparser
from markdown_it import MarkdownIt

from contracts.reports.json_report import SCHEMA_FILE

_SCHEMA: Final = json.loads(SCHEMA_FILE.read_bytes())
_REPORT: Final = jsonschema_rs.Draft202012Validator(_SCHEMA, validate_formats=True)
_LINE: Final = jsonschema_rs.Draft202012Validator({"$ref": "#/$defs/ndjson_line", "$defs": _SCHEMA["$defs"]})
_MARKDOWN: Final = MarkdownIt("commonmark", {"linkify": False}).enable("table")


def _sarif_schema() -> jsonschema_rs.Draft4Validator:
    path = Path(__file__).parents[1] / "contracts" / "reports" / "schemas" / "sarif-2.1.0-rtm.5.json"
    schema = json.loads(path.read_bytes())
    for part in ("run", "toolComponent"):  # a stray bracket, which only ECMAScript takes for itself
        language = schema["definitions"][part]["properties"]["language"]
        language["pattern"] = language["pattern"].replace("}]?", r"}\]?")
    return jsonschema_rs.Draft4Validator(schema, validate_formats=True)


_SARIF: Final = _sarif_schema()


def read_json(raw: bytes) -> None:
    """Keep the published schema; list at most a hundred findings a payload."""
    document = json.loads(raw)
    _REPORT.validate(document)
    assert all(len(each["findings"]) <= 101 for each in document["results"])


def read_ndjson(raw: bytes) -> None:
    """Keep the published schema on every line; the summary is the last one."""
    lines = [json.loads(line) for line in raw.decode().split("\n")[:-1]]
    for line in lines:
        _LINE.validate(line)
    assert [line["kind"] for line in lines].index("summary") == len(lines) - 1


def read_junit(raw: bytes) -> None:
    """Parse as XML; no two test cases have one name."""
    names = [case.name for suite in junitparser.JUnitXml.fromstring(raw) for case in suite]
    assert len(set(names)) == len(names)


def read_sarif(raw: bytes) -> None:
    """Keep OASIS's schema, and what GitHub asks beyond it."""
    document = json.loads(raw)
    _SARIF.validate(document)
    for result in document["runs"][0]["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
        assert not place["artifactLocation"]["uri"].startswith(("/", "file:", ".."))
        assert place["region"]["startLine"] >= 1


def read_gitlab(raw: bytes) -> None:
    """Hold what GitLab reads, each entry with a fingerprint of its own."""
    entries = json.loads(raw)
    for each in entries:
        assert all(isinstance(each[name], str) and each[name] for name in ("description", "check_name", "fingerprint"))
        assert each["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert not each["location"]["path"].startswith("/")
        assert each["location"]["lines"]["begin"] >= 1
    assert len({each["fingerprint"] for each in entries}) == len(entries)


def read_github(raw: bytes) -> None:
    """Hold nothing but workflow commands, no more than a runner shows."""
    lines = raw.decode().split("\n")[:-1]
    for line in lines:
        assert line.startswith(("::error ", "::warning ", "::notice ")), line
        assert "\r" not in line
    assert all(sum(line.startswith(f"::{level} ") for line in lines) <= 10 for level in ("error", "warning", "notice"))


def read_markdown(raw: bytes) -> None:
    """Render to a heading, text and a table: nothing else, and no link."""
    assert len(raw) < 1 << 20
    blocks = _MARKDOWN.parse(raw.decode())
    tokens = [*blocks, *(child for block in blocks for child in block.children or ())]
    kinds = {each.type for each in tokens if each.content != "<br>"}
    assert not kinds & {"link_open", "image", "html_block", "html_inline", "fence", "code_block", "bullet_list_open"}


def read_text(raw: bytes) -> None:
    """Control no terminal and no runner."""
    for line in raw.decode().split("\n"):
        assert line.isprintable(), line
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


READERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "json": read_json,
    "ndjson": read_ndjson,
    "junit": read_junit,
    "sarif": read_sarif,
    "gitlab": read_gitlab,
    "github": read_github,
    "markdown": read_markdown,
    "text": read_text,
}
"""Report format -> its reader."""
