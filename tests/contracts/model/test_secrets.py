"""A secret is seen, named and never repeated; what only looks like one goes through."""

from __future__ import annotations

import re
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fixtures.corpus import Case, cases, read_case
from contracts.model.secret_finder import is_telling
from contracts.model.secrets import has_url_credentials, is_suspicious, mask, may_be_secret, secret_kind
from tests.support import secret_recall

# Joined here, so that this file holds nothing that a scanner, or its reader, takes for a live secret.
DETECTABLE = {
    "AWS Access Key": "AKIA" + "IOSFODNN7" + "EXAMPLE",
    "Artifactory Credentials": " AKC" + "p8Zsdkf93lk2" * 2,
    "Azure Storage Account access key": "Account" + "Key=" + "Zm9v" * 21 + "Zm9=",
    "Cloudant Credentials": "cloudant" + "_pw = " + "abcdefghijklmnopqrstuvwx",
    "Discord Bot Token": "MTk4NjIyNDgzNDcxOTI1" + "MjQ4" + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
    "GitHub Token": "ghp" + "_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx",
    "GitLab Token": "glpat" + "-" + "hellOworld380_testin",
    "IBM COS HMAC Credentials": "secret" + "_access_key=" + "1234567890abcdef" * 3,
    "IBM Cloud IAM Key": "iam" + "_api_key: " + "abcd1234-_" * 4 + "abcd",
    "JSON Web Token": "ey" + "JhbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0In0" + "." + "TJVA95OrM7E2cBab30",
    "Mailchimp Access Key": "343ea45721923ed956e2b38c31db76aa" + "-us" + "30",
    "OpenAI Token": "sk-" + "abcdefghij0123456789" + "T3BlbkFJ" + "0123456789abcdefghij",
    "Private Key": "-----BEGIN " + "RSA " + "PRIVATE " + "KEY-----",
    "PyPI Token": "pypi-" + "AgEIcHlwaS5vcmc" + "aB3_" * 18,
    "SendGrid API Key": "SG" + "." + "ngeVfQFYQlKU0ufo8x5d1A" + "." + "TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr",
    "Slack Token": "xox" + "b-" + "34532454-" + "e039d02840a0b9379c",
    "SoftLayer Credentials": "softlayer" + "_api_key=" + "ab12" * 16,
    "Square OAuth Secret": "sq0csp-" + "ABCDEFGHIJK_LMNOPQRSTUVWXYZ-0123456789\\abcd",
    "Stripe Access Key": "sk" + "_live_" + "ReTllpYQYfIZu2Jnf2lAPFjD",
    "Telegram Bot Token": "110201543" + ":" + "AAHdqTcvCH1vGWJxfSe1ofSAs0K5PALDsaw",
    "Twilio API Key": "SK" + "123456789012345678901234567890ab",
}

ASSIGNED = {
    "kaizen-agentic metrics record coach --token hunter2-hunter2": "Secret Keyword",
    "kaizen-agentic metrics record coach --db-password=hunter2": "Secret Keyword",
    "env API_KEY=0123456789abcdef kaizen-agentic": "Secret Keyword",
    "env MY_SECRET='correct horse'": "Secret Keyword",
    '{"password": "hunter2"}': "Secret Keyword",
    "PASSPHRASE = opensesame": "Secret Keyword",
    "//npm.example/:_authToken= 550e8400-e29b-41d4-a716-446655440000": "Secret Keyword",
    "curl -H 'Authorization: Bearer abcdefgh12345678'": "Authorization Header",
    "curl -H 'Authorization: Bearer abcdefghijklmnop'": "Authorization Header",
    '{"authorization": "basic d29yc2NoOmh1bnRlcjI="}': "Authorization Header",
    "Bearer abcdefgh12345678": "Authorization Header",
    "curl -H 'Authorization: Basic d29yc2NoOmh1bnRlcjI='": "Authorization Header",
}

INNOCENT = [
    "",
    "kaizen-agentic metrics record coach --success --time <s> --quality <0-1>",
    "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic",
    "kaizen-agentic schedule prepare token-counter --target /srv/password-manager",
    "kaizen-agentic metrics record secret-keeper --tokens 4000",
    "kaizen-agentic metrics record coach --password <password>",
    "kaizen-agentic metrics record coach --token $TOKEN",
    "kaizen-agentic metrics record coach --token ${HUB_TOKEN}",
    "kaizen-agentic metrics record coach --token=%TOKEN%",
    "kaizen-agentic metrics record coach --token ***",
    "kaizen-agentic metrics record coach --token -",
    "API_KEY=$API_KEY kaizen-agentic metrics record coach",
    "PASSWORD=none",
    "the token bucket was empty; its secret ingredient is patience",
    "a basic introduction, the bearer of good news",
    "89b4e97f3cca25bb124a77332dfc8440371d2d079bd6bfa6937a194d0ab425f2",
    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "550e8400-e29b-41d4-a716-446655440000",
    "blobs/v1/sha256/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.md.zst",
    "/home/worsch/Projects/2026-06-17_Kaizen-Agentic_Very_Long_Checkout_Name_No_17",
    r"C:\Users\Worsch\Source\Repos\KaizenAgentic2026",
    "2026-06-17T09:00:12.123456789Z",
    "https://hub.example/fleet?repo=kaizen-agentic&agent=coach",
    "https://hub.example:8443/@worsch",
    "git@git.example:kaizen/kaizen-agentic.git",
    "ssh://git@git.example/kaizen/kaizen-agentic.git",
    "worsch@example.org",
    "10.0.0.1",
]

URLS = {
    "https://worsch:hunter2@git.example/coach.git": True,
    "https://x-access-token@git.example/coach.git": True,
    "git push https://worsch:hunter2@git.example/coach.git coach": True,
    "s3+https://key:secret@bucket.example": True,
    "postgres://u:p@db/fleet": True,
    "https://git.example/worsch@kaizen": False,
    "https://git.example?mail=a@b": False,
    "https://git.example#a@b": False,
    "https://git.example and a@b": False,
    "a@b https://git.example": False,
    "://u:p@host": False,
}

# Long strings that a careless expression would read again and again. Each is built for a length.
HOSTILE: dict[str, Any] = {
    "one letter": lambda size: "a" * size,
    "one capital": lambda size: "A" * size,
    "names": lambda size: "password" * (size // 8),
    "names and spaces": lambda size: ("token" + " " * 59) * (size // 64),
    "a name and a gulf": lambda size: "password" + " " * size,
    "a name and brackets": lambda size: "api_key" + "]" * size,
    "a name and quotes": lambda size: "key" + "\"'" * (size // 2),
    "schemes": lambda size: "a://" * (size // 4) + "@",
    "a scheme and no host": lambda size: "https://" + "b" * size + " @",
    "letters and a scheme": lambda size: "a" * size + "://@",
    "bearers": lambda size: "bearer " * (size // 7),
    "options": lambda size: "--token " * (size // 8),
    "aws": lambda size: "aws" * (size // 3),
    "aws and key": lambda size: "aws key " * (size // 8),
    "ibm": lambda size: "ibm_cloud_iam_api_key " * (size // 22),
    "cloudant": lambda size: "cloudant_key " * (size // 13),
    "json web tokens": lambda size: "eyJ" * (size // 3),
    "json web token of dots": lambda size: "eyJ" + "a." * (size // 2),
    "npm": lambda size: "//a/:_authToken=" * (size // 16),
    "slashes": lambda size: "_authToken" + "/" * size,
    "slack": lambda size: "xoxb-" + "1-" * (size // 2),
    "open ai": lambda size: "sk-" + "T3BlbkFJ" * (size // 8),
    "open ai again": lambda size: "sk-A" * (size // 4),
    "authorizations": lambda size: "authorization: " * (size // 15),
    "an authorization and a gulf": lambda size: "authorization" + " " * size,
    "gitlab": lambda size: "glagent-" * (size // 8),
    "hex": lambda size: "0123456789abcdef" * (size // 16),
    "base 64": lambda size: "AKIA+/" * (size // 6),
}

LEAKING = {"boundary/secret", "boundary/url-credentials"}
LEAKS = [
    case
    for contract in ("kaizen.schedule.prepared@1", "kaizen.schedule.archived@1")
    for case in cases(contract, "invalid")
    if case.breaks & LEAKING
]


@pytest.mark.parametrize(("kind", "text"), DETECTABLE.items(), ids=DETECTABLE)
def test_each_kind_that_identifies_itself_is_found_anywhere_in_a_text(kind: str, text: str) -> None:
    for line in (text, f"push {text} now", f"first line\n{text}", f"--note={text}"):
        assert is_suspicious(line)
        assert secret_kind(line), kind
        assert may_be_secret(line)


def test_the_labelled_set_is_found_and_nothing_innocent_with_it() -> None:
    missed, counts, alarms = secret_recall.measure()

    assert sum(counts.values()) >= 400
    assert missed == {}
    assert alarms == []


@pytest.mark.parametrize("name", [*secret_recall.NAMES, "x_PASS", "X_PAT", "password2", "Secret_Key", "tokenV2"])
def test_a_telling_name_promises_a_secret(name: str) -> None:
    assert is_telling(name)
    assert is_telling(f"--{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("tokens", "max_tokens", "token_file", "token-url", "password_policy", "passwordless", "compass", "bypass"),
        *(
            "pattern",
            "path",
            "patch",
            "keyboard",
            "key",
            "public_key",
            "author",
            "secretary",
            "id",
            "PASSWORD_FILE",
            "pwdx",
        ),
    ],
)
def test_a_name_about_something_else_promises_none(name: str) -> None:
    assert not is_telling(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("push --token hunter2 now", "push --token *** now"),
        ("https://worsch:hunter2@git.example/x", "https://***@git.example/x"),
        ("a " + "gh" + "p_" + "a1B2" * 9 + " b", "a *** b"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer ***"),
        ("nothing to hide", "nothing to hide"),
        ("--password 'two words' --token <token>", "--password '***' --token <token>"),
    ],
)
def test_a_mask_replaces_the_secret_and_leaves_the_rest(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(
    st.lists(st.sampled_from([*DETECTABLE.values(), *ASSIGNED, *INNOCENT, *URLS, "x", "'", '"']), max_size=4).map(
        " ".join
    )
)
def test_a_masked_text_holds_no_secret(text: str) -> None:
    assert not may_be_secret(mask(text))


@pytest.mark.parametrize(("text", "kind"), ASSIGNED.items(), ids=ASSIGNED)
def test_a_literal_behind_a_name_that_promises_a_secret_is_one(text: str, kind: str) -> None:
    assert is_suspicious(text)
    assert secret_kind(text) == kind


@pytest.mark.parametrize("text", INNOCENT, ids=repr)
def test_what_only_looks_like_a_secret_is_none(text: str) -> None:
    assert secret_kind(text) is None
    assert not may_be_secret(text)


@pytest.mark.parametrize(("text", "has_credentials"), URLS.items(), ids=URLS)
def test_a_url_with_a_user_part_has_credentials(text: str, has_credentials: bool) -> None:  # noqa: FBT001
    assert has_url_credentials(text) is has_credentials


def test_a_secret_in_the_middle_of_a_very_long_line_is_seen() -> None:
    for kind, secret in DETECTABLE.items():
        for before in (0, 500, 1000):
            assert secret_kind(f"{'. ' * before}{secret} {'. ' * 1000}"), (kind, before)


@given(st.text())
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert isinstance(may_be_secret(text), bool)


@pytest.mark.parametrize("build", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_string_costs_time_in_proportion_to_its_length(build: Any) -> None:
    short, long = build(16 << 10), build(64 << 10)

    def seconds(text: str) -> float:
        taken = []
        for _ in range(3):
            secret_kind.cache_clear()
            start = process_time()
            has_url_credentials(text)
            secret_kind(text)
            mask(text)
            taken.append(process_time() - start)
        return min(taken)

    # Four times the length is four times the time, or sixteen where an expression reads all of it again and
    # again. A clock that ticks in milliseconds says nothing of less than that.
    assert seconds(long) < 8 * seconds(short) + 0.005


def test_fixtures_show_every_way_in_which_a_secret_leaks() -> None:
    assert set().union(*(case.breaks & LEAKING for case in LEAKS)) == LEAKING


@pytest.mark.parametrize("case", LEAKS, ids=lambda case: f"{case.contract}-{case.name}")
@pytest.mark.parametrize("report", ["text", "json", "junit"])
def test_a_secret_is_in_no_report(case: Case, report: str, run_contracts: Any) -> None:
    status, out, err = run_contracts("check", "--report", report, case.path)

    assert status == 1
    assert case.breaks & {rule for rule in LEAKING if rule in out}
    for secret in _secrets_of(case):
        assert secret not in out + err


def _secrets_of(case: Case) -> list[str]:
    """Cut the secret out of a fixture: user parts of URLs, and long words that the spec's example has not."""
    text = read_case(case.path).raw.decode()
    example = (case.path.parent.parent / "valid" / "spec-example.json").read_text("utf-8")
    users = re.findall(r"://([^/\s@]+@)", text)
    words = [
        word for word in re.findall(r"[A-Za-z0-9+._-]{8,}", text) if re.search(r"\d", word) and word not in example
    ]
    assert users or words
    return users + words
