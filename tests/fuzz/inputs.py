"""Inputs made from the golden fixtures: bytes changed anywhere, payloads changed in their structure."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, Final

from contracts.fixtures.corpus import ROOT, cases
from contracts.replay.events.capture import Capture

SUBJECTS: Final = ("kaizen.schedule.prepared@1", "kaizen.schedule.archived@1")
LIMIT_BYTES: Final = 65536
PAYLOADS: Final = [json.loads(case.raw) for subject in SUBJECTS for case in cases(subject, "valid")]
EXAMPLE: Final = (ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json").read_bytes()
SEEDS: Final = [
    *(case.raw for subject in SUBJECTS for case in cases(subject)),
    *(case.path.read_bytes() for subject in SUBJECTS for case in cases(subject, "invalid", "warnings")),
    *(Capture(payload["event"], payload, origin="S #1").to_line() for payload in PAYLOADS),
    b"\n".join(json.dumps(payload).encode() for payload in PAYLOADS[:4]),
]
_TOKENS: Final = [
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"\\ud800", b"\n", b"\r\n", b"\0", b"\xff", b"\xc3"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"1E+400", b"9" * 400, b"9" * 5000, b"-0", b"0.5", b"-1"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x1b[2J", "\u202e".encode(), "\u2028".encode()),
    *(
        b"::error::",
        b"##[group]",
        b"]]>",
        b"<!--",
        b"| a |",
        b"%0A",
        b"$(id)",
        b"`id`",
        b"kaizen.capture/1",
        b"..",
        b"//",
    ),
    *(b'"event"', b'"breaks"', b'"set"', b'"remove"', b'"raw"', b'"schema"', b'"version"', b'"bundle"'),
]
_VALUES: Final[list[Any]] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**53,
        -(2**63),
        0.5,
        1e300,
        "",
        " ",
        "a",
        "\n",
        "\0",
        "\ud800",
        "\u202e",
        "/",
        "..",
        "1",
    ),
    *([], {}, [[]], [None], {"": 0}, {"a": {"b": []}}, "a" * 5000, ["x"] * 300, {"\x1b": 1}, "2026-06-17T09:00:12Z"),
    *("C:\\w", "$(id)", "a; b", "'", '"', "<s>", "--target", "kaizen.schedule.prepared", "999999999999999999999999"),
]


def mutated(random: Random, raw: bytes | None = None) -> bytes:
    """Return bytes, by default those of a fixture, changed in up to eight places."""
    raw = random.choice(SEEDS) if raw is None else raw
    for _ in range(random.randrange(1, 9)):
        raw = random.choice(_CHANGES)(random, raw)
    return raw[:LIMIT_BYTES]


def structured(random: Random, payload: Any = None) -> Any:
    """Return a payload, by default that of a fixture, with up to six of its values changed, added, moved or removed."""
    payload = json.loads(json.dumps(random.choice(PAYLOADS) if payload is None else payload))
    for _ in range(random.randrange(1, 7)):
        _change_value(random, payload)
    return payload


def as_bytes(random: Random, value: Any) -> bytes:
    """Serialise in one of the ways in which programs do; lone surrogates stay what they are."""
    if random.random() < 0.3:
        return json.dumps(value, indent=random.choice([0, 1, 2]))[:LIMIT_BYTES].encode()
    return json.dumps(value, ensure_ascii=False)[:LIMIT_BYTES].encode("utf-8", "surrogatepass")[:LIMIT_BYTES]


def planted(random: Random) -> tuple[dict[str, Any], str]:
    """Return a payload with a credential somewhere in it, and the text that nothing may show."""
    payload = structured(random, PAYLOADS[0])
    secret = "".join(random.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=20)) + "7Qz"
    text = random.choice(_CREDENTIALS).format(secret)
    place = random.choice(
        ["agent", "repo", "root", "cadence", "prepare_command", "occurred_at", "event", "version", "x"]
    )
    match random.randrange(5):
        case 0:
            payload["session_close"] = ["coach", text]
        case 1:
            payload["bundle"] = {"pointers": [text], text: 1}
        case 2:
            payload[text] = _value(random)
        case 3:
            payload["more"] = {"deep": [{"er": text}]}
        case _:
            payload[place] = text
    return payload, secret


_CREDENTIALS: Final = (
    "https://bob:{}@example.org/x",
    "kaizen-agentic schedule prepare coach --token {}",
    "Authorization: Bearer {}",
    "API_KEY={}",
    "ghp_{}abcdefghijklm",
)


def _change_value(random: Random, payload: Any) -> None:
    containers = [each for each in _containers(payload) if each] or [payload]
    inside = random.choice(containers)
    if not isinstance(inside, dict | list):
        return
    key = random.choice(list(inside) if isinstance(inside, dict) else range(len(inside))) if inside else None
    match random.randrange(6):
        case 0 if key is not None:
            del inside[key]
        case 1 if isinstance(inside, dict):
            inside[random.choice(["x", "", "a/b", "~1", "\x1b[0m", "k" * 300, "event", "bytes"])] = _value(random)
        case 2 if isinstance(inside, dict):
            inside.update({f"k{number}": number for number in range(random.choice([3, 300, 3000]))})
        case 3 if isinstance(inside, list):
            inside.extend([_value(random)] * random.choice([1, 50, 3000]))
        case 4 if key is not None:
            inside[key] = deepcopy(random.choice(containers)) if random.random() < 0.5 else [inside[key]]
        case _ if key is not None:
            inside[key] = _value(random)


def _value(random: Random) -> Any:
    return deepcopy(random.choice(_VALUES))


def _containers(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(each for item in inside if isinstance(item, dict | list) for each in _containers(item))]


def _place(random: Random, raw: bytes) -> int:
    return random.randrange(len(raw) + 1)


def _insert(random: Random, raw: bytes) -> bytes:
    at = _place(random, raw)
    return raw[:at] + random.choice(_TOKENS) * random.choice([1, 1, 1, 2, 50]) + raw[at:]


def _delete(random: Random, raw: bytes) -> bytes:
    at = _place(random, raw)
    return raw[:at] + raw[at + random.choice([1, 1, 2, 10, 100]) :]


def _flip(random: Random, raw: bytes) -> bytes:
    if not raw:
        return b"\0"
    at = random.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ (1 << random.randrange(8))]) + raw[at + 1 :]


def _repeat(random: Random, raw: bytes) -> bytes:
    start, end = sorted((_place(random, raw), _place(random, raw)))
    return raw[:end] + raw[start:end] * random.choice([1, 2, 20]) + raw[end:]


def _splice(random: Random, raw: bytes) -> bytes:
    other = random.choice(SEEDS)
    return raw[: _place(random, raw)] + other[_place(random, other) :]


def _cut(random: Random, raw: bytes) -> bytes:
    return raw[: _place(random, raw)]


_CHANGES: Final[list[Callable[[Random, bytes], bytes]]] = [_insert, _insert, _delete, _flip, _repeat, _splice, _cut]
