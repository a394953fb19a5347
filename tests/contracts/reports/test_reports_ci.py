"""What CI shows to people: SARIF, annotations, the summary and the text; hostile text breaks out of none."""

from __future__ import annotations

import html
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from contracts.checker import Result, check
from contracts.reports import make_report
from contracts.reports.provenance import shown_path
from contracts.reports.sarif import MOST_RESULTS
from contracts.reports.text import MOST_OF_A_RULE, MOST_PAYLOADS
from contracts.rules.registry import load_contract
from contracts.verdict.policy import Policy
from tests.support.reported import ALL, HOSTILE_TEXT, PREPARED, SPEC_EXAMPLE, WAIVER, hostile, write

SARIF_SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_bytes())
# A stray bracket, which only lenient ECMAScript takes for itself, is written as what it is taken for.
for part in ("run", "toolComponent"):
    language = SARIF_SCHEMA["definitions"][part]["properties"]["language"]
    language["pattern"] = language["pattern"].replace("}]?", r"}\]?")
SARIF = jsonschema_rs.Draft4Validator(SARIF_SCHEMA, validate_formats=True)


# --- SARIF -----------------------------------------------------------------------------------------------------------


def test_sarif_keeps_the_published_schema_and_describes_every_rule() -> None:
    document = json.loads(write("sarif", ALL, Policy(waivers=(WAIVER,))))

    SARIF.validate(document)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert {each["id"] for each in rules} == {*load_contract(PREPARED).rules, "waiver/unused"}
    assert len({each["id"] for each in rules}) == len(rules)
    for each in rules:
        assert each["help"]["text"]
        assert each["defaultConfiguration"]["level"] in {"error", "warning"}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_the_schema_in_use_refuses_what_is_not_sarif() -> None:
    document = json.loads(write("sarif", ALL[:9]))
    document["runs"][0]["results"] = [{"ruleId": "x"}]

    assert not SARIF.is_valid(document)


def test_a_waived_finding_is_suppressed_with_its_reason() -> None:
    result = check(SPEC_EXAMPLE.replace(b"weekly", b"hourly"))

    (finding,) = json.loads(write("sarif", [result], Policy(waivers=(WAIVER,))))["runs"][0]["results"]

    assert finding["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": f"<b>ops</b>, until 2026-12-31: {WAIVER.reason}"}
    ]


def test_fingerprints_stay_when_lines_and_values_move_and_tell_findings_apart() -> None:
    def fingerprints(*raws: bytes) -> list[str]:
        results = [check(raw, source="event.json") for raw in raws]
        found = json.loads(write("sarif", results))["runs"][0]["results"]
        return [each["partialFingerprints"]["contracts/v1"] for each in found]

    hourly, yearly = (SPEC_EXAMPLE.replace(b"weekly", each) for each in (b"hourly", b"yearly"))
    assert fingerprints(hourly) == fingerprints(b"\n\n" + yearly)
    assert len(set(fingerprints(hourly, yearly, hourly.replace(b'"1"', b'"2"')))) == 4


def test_sarif_names_files_from_the_working_directory_never_by_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "checkout" / "sub")
    result = hostile("ü b#c?")

    assert _uris(result) == [("fixtures/ü b#c?.json", "%SRCROOT%")]
    absolute = result._replace(fixture=Path.cwd() / "x")
    assert _uris(absolute) == [("x", "%SRCROOT%")]
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "checkout"))
    assert _uris(absolute) == [("sub/x", "%SRCROOT%")]
    assert str(tmp_path) not in write("sarif", [result, absolute])


def _uris(result: Result) -> list[tuple[str, str | None]]:
    found = json.loads(write("sarif", [result]))["runs"][0]["results"]
    places = [place["physicalLocation"]["artifactLocation"] for each in found for place in each["locations"]]
    return [(unquote(place["uri"]), place.get("uriBaseId")) for place in places]


def test_every_result_has_a_place_inside_the_checkout_whatever_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    (tmp_path / "checkout" / "pyproject.toml").touch()
    piped = check(SPEC_EXAMPLE.replace(b"weekly", b"hourly"), source="cmd:python emit.py")

    for result in (piped, piped._replace(fixture=tmp_path / "elsewhere.json")):
        (found,) = json.loads(write("sarif", [result]))["runs"][0]["results"]
        assert _uris(result) == [("pyproject.toml", "%SRCROOT%")]
        assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
        assert found["message"]["text"].startswith("cmd:python emit.py: /cadence: found 'hourly'")
        (entry,) = json.loads(write("gitlab", [result]))
        assert entry["location"] == {"path": "pyproject.toml", "lines": {"begin": 1}}


@pytest.mark.parametrize("named", ["link", "link/", "link/../link", "real"])
@pytest.mark.parametrize("entered", ["link", "real"])
@pytest.mark.parametrize("file", ["sub/x.json", "{there}/sub/x.json", "sub/inner/../x.json"])
def test_a_workspace_may_be_a_symbolic_link(
    named: str, entered: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real" / "sub" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("GITHUB_WORKSPACE", f"{tmp_path}/{named}")
    monkeypatch.chdir(tmp_path / entered / "sub")
    path = Path(file.format(there=tmp_path / entered)) if "{" in file else Path("..", file)

    assert _uris(hostile("")._replace(fixture=path)) == [("sub/x.json", "%SRCROOT%")]
    assert "file=sub/x.json," in write("github", [hostile("")._replace(fixture=path)])


def test_sarif_keeps_errors_of_too_many_results_and_counts_the_rest() -> None:
    warned = check(SPEC_EXAMPLE.replace(b"12Z", b"12+00:00"), source="warned")
    failed = check(SPEC_EXAMPLE.replace(b"weekly", b"hourly"), source="failed")

    document = json.loads(write("sarif", [warned] * (MOST_RESULTS - 2) + [failed] * 5))

    SARIF.validate(document)
    (run,) = document["runs"]
    assert len(run["results"]) == MOST_RESULTS
    assert sum(each["level"] == "error" for each in run["results"]) == 5
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "3 more findings of this run omitted from this report"


@given(HOSTILE_TEXT)
def test_sarif_holds_against_hostile_text(text: str) -> None:
    SARIF.validate(json.loads(write("sarif", [hostile(text)], Policy(waivers=(WAIVER,)), error=text)))


# --- annotations -----------------------------------------------------------------------------------------------------


def _annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Read workflow commands as actions/runner does (ActionCommand.TryParseV2)."""
    read = []
    for line in text.splitlines():
        assert line.startswith("::"), line
        head, _, data = line[2:].partition("::")
        command, _, told = head.partition(" ")
        pairs = (pair.split("=", 1) for pair in told.split(",") if pair)
        properties = {name: _unescaped(value, "%0D\r", "%0A\n", "%3A:", "%2C,", "%25%") for name, value in pairs}
        read.append((command, properties, _unescaped(data, "%0D\r", "%0A\n", "%25%")))
    return read


def _unescaped(text: str, *escapes: str) -> str:
    for escape in escapes:
        text = text.replace(escape[:3], escape[3:])
    return text


def test_an_annotation_names_file_line_and_rule() -> None:
    result = check(SPEC_EXAMPLE.replace(b"weekly", b"hourly"), source="a,b:c.json")
    result = result._replace(fixture=Path("a,b:c.json"))

    ((level, properties, message),) = _annotations(write("github", [result]))

    assert level == "error"
    assert properties == {"file": "a,b:c.json", "line": "2", "title": "cadence/enum"}
    assert "found 'hourly', expected one of 'daily', 'weekly', 'monthly'\nspec, line 46: cadence" in message


@given(text=HOSTILE_TEXT, is_waived=st.booleans())
def test_annotations_hold_against_hostile_text(text: str, *, is_waived: bool) -> None:
    policy = Policy(waivers=(WAIVER,) if is_waived else ())
    annotations = _annotations(write("github", [hostile(text)], policy, error="a\nb"))

    assert [level for level, _, _ in annotations] == ["notice" if is_waived else "error", "error"]
    assert annotations[0][1].keys() == {"file", "line", "title"}
    (finding,) = Policy().judge(hostile(text)).findings
    assert finding.fixture is not None
    assert annotations[0][1]["file"] == shown_path(finding.fixture)
    assert annotations[0][2].startswith(finding.message)
    assert annotations[1][1].keys() == {"title"}


@pytest.mark.parametrize(("findings", "shown"), [(9, 9), (10, 9), (10_000, 9)])
def test_annotations_are_no_more_than_a_runner_shows(findings: int, shown: int) -> None:
    annotations = _annotations(write("github", [hostile("x")] * findings))

    assert [level for level, _, _ in annotations].count("error") == shown
    left = [message for level, _, message in annotations if level == "notice"]
    assert [message.partition(" without")[0] for message in left] == (
        [] if findings == shown else [f"{findings - shown:,} more finding{'s' if findings - shown > 1 else ''}"]
    )


# --- GitLab ----------------------------------------------------------------------------------------------------------

# As GitLab documents what it reads (Code Quality, "Code Quality report format").
GITLAB = jsonschema_rs.Draft202012Validator(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "minLength": 1},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "pattern": "^[^/]", "not": {"pattern": "^\\./"}},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}},
                        },
                    },
                },
            },
        },
    }
)


def test_gitlab_gets_an_entry_for_each_finding_with_a_fingerprint_of_its_own() -> None:
    entries = json.loads(write("gitlab", ALL * 2, Policy(waivers=(WAIVER,)), error="a\nb"))

    GITLAB.validate(entries)
    assert len({each["fingerprint"] for each in entries}) == len(entries)
    assert {each["severity"] for each in entries} == {"info", "minor", "major", "blocker"}


def test_gitlab_gets_an_empty_array_where_nothing_is_found() -> None:
    assert json.loads(write("gitlab", [check(SPEC_EXAMPLE)])) == []


@given(HOSTILE_TEXT)
def test_gitlab_holds_against_hostile_text(text: str) -> None:
    GITLAB.validate(json.loads(write("gitlab", [hostile(text)], error=text).encode()))


# --- Markdown --------------------------------------------------------------------------------------------------------

MARKDOWN = MarkdownIt("commonmark", {"linkify": False}).enable("table").enable("strikethrough")
EXPECTED_TAGS = {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "br"}


def _rendered(markdown: str) -> tuple[set[str], list[list[str]]]:
    """Render as CommonMark with tables: (tags, the text of each cell by row, with a space for each break)."""
    text = MARKDOWN.render(markdown)
    rows = [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in text.split("<tr>")[1:]]
    cells = [[" ".join(html.unescape(cell.replace("<br>", " ")).split()) for cell in row] for row in rows]
    return set(re.findall(r"<([a-z0-9]+)", text)), cells


def test_the_summary_is_one_table_with_a_row_for_each_finding() -> None:
    results = [check(SPEC_EXAMPLE.replace(b"weekly", b"hourly").replace(b"8421", b"-1"), source="event.json")]

    tags, (_, cadence, size) = _rendered(write("markdown", results))

    assert tags == EXPECTED_TAGS
    assert cadence[:4] == ["error", "cadence/enum", "event.json /cadence", "'hourly'"]
    assert size[1:4] == ["bundle.bytes/minimum", "event.json /bundle/bytes", "the number -1"]


@given(text=HOSTILE_TEXT, is_error=st.booleans())
def test_markdown_holds_against_hostile_text(text: str, *, is_error: bool) -> None:
    policy = Policy(waivers=(WAIVER,))
    (finding,) = policy.judge(hostile(text)).findings

    tags, (_, cells) = _rendered(write("markdown", [hostile(text)], policy, error=text if is_error else None))

    assert tags <= EXPECTED_TAGS
    assert len(cells) == 5
    near = f" nearest: {finding.nearest}" if finding.nearest else ""
    assert cells[3] == " ".join(f"{finding.found}{near}".split())


def test_a_summary_is_under_githubs_limit_whatever_its_cells_hold() -> None:
    cells = [hostile("|" * 500), hostile("\u20ac" * 500), hostile("&" * 499 + "\u202e")]

    text = write("markdown", cells * 200, Policy(waivers=(WAIVER,)), error="|" * 10_000)

    assert len(text.encode()) < (1 << 20) / 2
    assert " more findings; the other reports have them" in text


@pytest.mark.parametrize("text", ["@octocat", "#12", "https://x.example", "www.example.org", "a@b.example", ":smile:"])
def test_markdown_mentions_nobody_and_links_nothing(text: str) -> None:
    assert text not in write("markdown", [hostile(text)], error=text)


def test_a_summary_stays_small_and_says_that_there_is_more() -> None:
    text = write("markdown", [hostile("x" * 4000)] * 500)

    assert len(text) < 1_000_000
    assert "And 300 more" in text


# --- text ------------------------------------------------------------------------------------------------------------


@given(HOSTILE_TEXT)
def test_text_controls_no_terminal_and_no_runner(text: str) -> None:
    lines = write("text", [hostile(text)], Policy(waivers=(WAIVER,))).split("\n")

    for line in lines:
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def test_text_shows_the_first_payloads_and_sums_up_the_others_by_rule() -> None:
    hourly = [check(SPEC_EXAMPLE.replace(b"weekly", b"hourly"), source=f"{n}.json") for n in range(1000)]

    lines = write("text", [*hourly, check(b"[]", source="last.json")]).splitlines()

    assert sum(line.startswith("FAIL ") for line in lines) == MOST_PAYLOADS
    assert lines[-4:] == [
        "951 more payloads with findings, by rule:",
        "  cadence/enum: 950 findings in 950 payloads, the first in 50.json",
        "  payload/type: 1 finding in 1 payload, the first in last.json",
        "0 of 1,001 payloads pass: 1,001 errors, 0 warnings",
    ]


def test_text_shows_the_first_findings_of_a_rule_and_counts_the_others() -> None:
    payload = json.loads(SPEC_EXAMPLE) | {f"k{number}": 1 for number in range(500)} | {"cadence": "hourly"}

    lines = write("text", [check(json.dumps(payload).encode())]).splitlines()

    assert sum("[payload/additionalProperties]" in line for line in lines) == MOST_OF_A_RULE + 1
    assert "      and 495 more [payload/additionalProperties]" in lines
    assert sum("[cadence/enum]" in line for line in lines) == 1
    assert lines[-1] == "0 of 1 payload pass: 501 errors, 0 warnings"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "is_coloured"), [(None, True), ("1", False)])
def test_colour_is_for_terminals_without_no_color(
    no_color: str | None, *, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    output = _Terminal()
    make_report("text", output).add(Policy().judge(check(b"[]")))

    assert ("\x1b[" in output.getvalue()) is is_coloured
    assert "\x1b[" not in write("text", [check(b"[]")])
