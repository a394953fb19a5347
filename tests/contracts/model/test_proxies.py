"""Which proxy the environment names: one table for all paths, and no password in any message."""

from __future__ import annotations

import pytest

from contracts import BadInput
from contracts.model.proxies import proxy_for

PROXY = "http://proxy.example:3128"
HTTP, HTTPS = "http://store.corp:9000", "https://store.corp"


@pytest.mark.parametrize(
    ("environ", "url", "variable"),
    [
        ({}, HTTPS, None),
        ({"HTTPS_PROXY": PROXY}, HTTPS, "HTTPS_PROXY"),
        ({"https_proxy": PROXY}, HTTPS, "https_proxy"),
        ({"HTTPS_PROXY": PROXY}, HTTP, None),
        ({"HTTP_PROXY": PROXY}, HTTP, "HTTP_PROXY"),
        ({"HTTP_PROXY": PROXY}, HTTPS, None),
        ({"ALL_PROXY": PROXY}, HTTP, "ALL_PROXY"),
        ({"all_proxy": PROXY}, HTTPS, "all_proxy"),
        ({"ALL_PROXY": "http://other", "HTTPS_PROXY": PROXY}, HTTPS, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://other", "https_proxy": PROXY}, HTTPS, "https_proxy"),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, HTTPS, None),
        ({"HTTPS_PROXY": ""}, HTTPS, None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, HTTPS, "ALL_PROXY"),
        ({"HTTPS_PROXY": PROXY}, "HTTPS://STORE.CORP", "HTTPS_PROXY"),
        ({"NO_PROXY": "*"}, HTTPS, None),
    ],
)
def test_a_proxy_is_used_where_a_variable_names_one(environ: dict[str, str], url: str, variable: str | None) -> None:
    found = proxy_for(url, environ)

    assert (found.variable if found else None) == variable
    assert found is None or found.url == PROXY


# NO_PROXY, the host and port that are reached, and whether the proxy is left out.
EXCEPTIONS = [
    ("store.corp", "store.corp", True),
    ("store.corp", "store.corp:9000", True),
    ("STORE.Corp", "store.corp", True),
    ("store.corp", "STORE.CORP", True),
    ("store.corp.", "store.corp", True),
    ("store.corp", "store.corp.", True),
    ("store.corp", "a.store.corp", True),
    ("store.corp", "mystore.corp", False),
    ("store.corp", "store.corp.evil", False),
    ("corp", "store.corp", True),
    (".corp", "store.corp", True),
    (".corp", "corp", True),
    (".corp", "mycorp", False),
    ("*.corp", "store.corp", True),
    ("*.corp", "a.b.corp", True),
    ("*.corp", "mycorp", False),
    ("store.corp:9000", "store.corp:9000", True),
    ("store.corp:9000", "store.corp:9001", False),
    ("store.corp:443", "store.corp", True),
    (".corp:9000", "store.corp:9000", True),
    ("*.corp:9000", "store.corp:9001", False),
    ("a,store.corp", "store.corp", True),
    (" a , store.corp ", "store.corp", True),
    ("a store.corp", "store.corp", True),
    (",,", "store.corp", False),
    (".", "store.corp", False),
    ("*", "store.corp", True),
    ("a,*", "store.corp", True),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "10.1.2.3:9000", True),
    ("10.0.0.1/8", "10.9.9.9", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.0.0.0/8", "store.corp", False),
    ("10.1.2.3", "10.1.2.3:9000", True),
    ("10.1.2.3:9000", "10.1.2.3:9000", True),
    ("10.1.2.3:9000", "10.1.2.3", False),
    ("10.1.2.3", "110.1.2.3", False),
    ("2.3", "10.1.2.3", False),
    ("10.0.0.0/99", "10.1.2.3", False),
    ("::1", "[::1]:9000", True),
    ("[::1]", "[::1]:9000", True),
    ("[::1]:9000", "[::1]:9000", True),
    ("[::1]:9000", "[::1]:9001", False),
    ("0:0:0:0:0:0:0:1", "[::1]", True),
    ("fd00::/8", "[fd12::1]:9000", True),
    ("fd00::/8", "[fe80::1]", False),
    ("fd00::/8", "10.1.2.3", False),
    ("localhost,127.0.0.1", "127.0.0.1:9000", True),
    ("localhost", "127.0.0.1", False),
]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(("exceptions", "place", "is_excepted"), EXCEPTIONS)
def test_an_exception_is_read_as_curl_and_go_read_it(
    name: str, exceptions: str, place: str, *, is_excepted: bool
) -> None:
    found = proxy_for(f"https://{place}", {"HTTPS_PROXY": PROXY, name: exceptions})

    assert (found is None) is is_excepted


def test_exceptions_in_lower_case_count_before_those_in_upper_case() -> None:
    assert proxy_for(HTTPS, {"HTTPS_PROXY": PROXY, "no_proxy": "", "NO_PROXY": "*"})
    assert not proxy_for(HTTPS, {"HTTPS_PROXY": PROXY, "no_proxy": "*", "NO_PROXY": ""})


def test_a_proxy_without_a_scheme_is_an_http_proxy() -> None:
    found = proxy_for(HTTPS, {"HTTPS_PROXY": "proxy.example:3128"})

    assert found is not None
    assert found.url == PROXY


def test_a_proxy_is_named_without_its_login() -> None:
    found = proxy_for(HTTPS, {"HTTPS_PROXY": "http://me:p%40ss@proxy.example:3128/"})

    assert found is not None
    assert found.login == "me:p@ss"
    assert str(found) == "the proxy http://proxy.example:3128 (HTTPS_PROXY)"
    assert "p%40ss" not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://me:hunter2@",
        "http://me:hunter2@proxy:port",
        "http://me:hunter2@proxy:99999",
        "http://me:hunter2@proxy:0",
        "http://me:hunter2@pro xy",
        "http://me:hunter2@[::1",
        "socks5://me:hunter2@proxy:1080",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_alone(value: str) -> None:
    with pytest.raises(BadInput, match=r"HTTPS_PROXY names .*expected http://") as refused:
        proxy_for(HTTPS, {"HTTPS_PROXY": value})

    assert "hunter2" not in str(refused.value)
    assert not proxy_for(HTTPS, {"HTTPS_PROXY": value, "NO_PROXY": "*"})
