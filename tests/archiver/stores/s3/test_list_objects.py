"""Pages of ListObjectsV2 are read alike however a store writes them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.stores.s3 import list_objects
from archiver.stores.s3.list_objects import Entry, NotAPage, Page, read_page

AT = "2026-06-17T12:34:56.000Z"
MOMENT = datetime(2026, 6, 17, 12, 34, 56, tzinfo=UTC)
NS = "http://s3.amazonaws.com/doc/2006-03-01/"

# XML cannot hold the other control characters, which is why names are asked for URL-encoded.
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
xml_names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


def entry(key: str, size: object = 7, at: str = AT) -> str:
    parts = f"<Key>{key}</Key><LastModified>{at}</LastModified><ETag>&#34;a&#34;</ETag><Size>{size}</Size>"
    return f"<Contents>{parts}</Contents>"


def page(
    *inside: str, root: str = f'ListBucketResult xmlns="{NS}"', start: str = '<?xml version="1.0" encoding="UTF-8"?>\n'
) -> bytes:
    return f"{start}<{root}>{''.join(inside)}</{root.split(maxsplit=1)[0]}>".encode()


@given(
    keys=st.lists(names, max_size=5),
    prefixes=st.lists(names, max_size=3),
    token=st.text("abc+/=", max_size=5),
    encode=st.sampled_from([quote, quote_plus, lambda name: quote(name, safe="")]),
    is_pretty=st.booleans(),
)
def test_every_character_of_a_url_encoded_name_is_read(keys, prefixes, token, encode, *, is_pretty: bool) -> None:
    gap = "\n  " if is_pretty else ""
    body = page(
        f"<Name>archive</Name>{gap}<IsTruncated>{str(bool(token)).lower()}</IsTruncated>{gap}<EncodingType>url</EncodingType>",
        *(f"{gap}{entry(encode(key))}" for key in keys),
        *(f"{gap}<CommonPrefixes>{gap}<Prefix>{encode(each)}</Prefix></CommonPrefixes>" for each in prefixes),
        f"{gap}<NextContinuationToken>{token}</NextContinuationToken>" if token else "",
    )

    assert read_page(body) == Page([Entry(key, 7, MOMENT) for key in keys], prefixes, token)


@given(
    keys=st.lists(xml_names, min_size=1, max_size=4),
    write=st.sampled_from(
        [
            escape,
            lambda name: "".join(f"&#{ord(each)};" for each in name),
            lambda name: "".join(f"&#x{ord(each):X};" for each in name),
            lambda name: f"<![CDATA[{name.replace(']]>', ']]]]><![CDATA[>')}]]>",
            lambda name: f"<!-- a > b -->{escape(name)}",
        ]
    ),
    root=st.sampled_from(["ListBucketResult", f'ListBucketResult xmlns="{NS}"', "ListBucketResult  a='b'\n"]),
)
def test_names_that_are_not_url_encoded_are_read_as_xml(keys, write, root: str) -> None:
    body = page("<IsTruncated>false</IsTruncated>", *(entry(write(key)) for key in keys), root=root)

    assert read_page(body) == Page([Entry(key, 7, MOMENT) for key in keys], [], "")


@pytest.mark.parametrize(
    "body",
    [
        page(entry("a")),
        page(entry("a"), start=""),
        page(entry("a"), start="<?xml version='1.0'?><!-- made by hand -->"),
        page(entry("a"), root="ListBucketResult"),
        page(entry("a").replace("<", "<s3:").replace("<s3:/", "</s3:"), root=f's3:ListBucketResult xmlns:s3="{NS}"'),
        page(entry("a").replace("<Contents>", '<Contents id="1">')),
        page(entry("a").replace("<Key>", '<Key xml:space="preserve">')),
        page(entry("a").replace("<Size>7</Size>", "<Size> 7\n</Size>")),
        page("<Owner><ID>Key</ID></Owner>", entry("a"), "<IsTruncated>false</IsTruncated><KeyCount>1</KeyCount>"),
        page(entry("a").replace("</Contents>", "<Owner><ID>o</ID><DisplayName/></Owner></Contents>")),
        page(entry("a").replace("><", ">\r\n<")),
        page(entry("a"), "<CommonPrefixes/><NextContinuationToken/><IsTruncated>false</IsTruncated>"),
        page(entry("a")).decode().replace("UTF-8", "utf-16").encode("utf-16"),
    ],
)
def test_the_same_page_is_the_same_however_it_is_written(body: bytes) -> None:
    assert read_page(body) == Page([Entry("a", 7, MOMENT)], [], "")


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ("2026-06-17T12:34:56Z", MOMENT),
        ("2026-06-17T12:34:56", MOMENT),
        ("2026-06-17T12:34:56.123456789Z", MOMENT.replace(microsecond=123456)),
        ("2026-06-17T14:34:56+02:00", MOMENT),
    ],
)
def test_times_are_in_utc_whatever_they_were_written_in(at: str, moment: datetime) -> None:
    [found] = read_page(page(entry("a", at=at))).objects

    assert (found.modified_at, found.modified_at.utcoffset()) == (moment, timedelta(0))
    assert UTC is found.modified_at.tzinfo


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html><body>Sign in</body></html>",
        b"<!DOCTYPE html><title>Console</title>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult>&b;</ListBucketResult>',
        b"<Error><Code>AccessDenied</Code></Error>",
        b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
        page(entry("a"))[:-1],
        page(entry("a"))[:-30],
        page(entry("a")).replace(b"</Key>", b"", 1),
        page(entry("a").replace("<Key>a</Key>", "")),
        page(entry("a").replace("<Key>a</Key>", "<Key>a</Key><Key>b</Key>"), entry("").replace("<Key></Key>", "")),
        page(entry("a", size="many")),
        page(entry("a", size="-1")),
        page(entry("a", at="yesterday")),
        page("<EncodingType>url</EncodingType>", entry("%FF")),
        page("<IsTruncated>true</IsTruncated>", entry("a")),
        page(entry("a")) + b"<more/>",
        b"\xff\xfe",
    ],
)
def test_what_is_no_whole_page_is_refused(body: bytes) -> None:
    with pytest.raises(NotAPage):
        read_page(body)


@given(st.binary() | st.binary().map(lambda junk: page(entry("a"))[: len(junk)] + junk + page(entry("a"))[len(junk) :]))
def test_any_bytes_are_a_page_or_refused(body: bytes) -> None:
    with suppress(NotAPage):
        read_page(body)


def test_a_plain_page_is_searched_and_gives_what_the_parser_gives() -> None:
    body = page(
        "<IsTruncated>true</IsTruncated>",
        entry("a"),
        entry("b/c%20d", 0),
        "<NextContinuationToken>t=</NextContinuationToken>",
    )
    found = list_objects._searched(body)

    assert found is not None
    assert found == list_objects._parsed(body)
