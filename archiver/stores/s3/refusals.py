"""What a store's answer means: its refusals as our errors, and whether a store answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

from archiver.core.errors import BucketMissing, BundleRefused, KeyMissing, KeyTaken, StoreRefuses, StoreUnavailable
from archiver.stores.s3.access import S3Access
from contracts import KitError

_LONGEST_MESSAGE = 300  # a proxy's error page can be long
_LONGEST_TITLE = 80
_NO = {301, 401, 403}  # also a full quota (versitygw) and a bucket set to read-only (SeaweedFS)
_NO_BY_CODE = {
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidToken",
    "PermanentRedirect",
}  # some come with 400
_ELSEWHERE = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
_SKEWED = {"RequestTimeTooSkewed", "RequestExpired"}
_HINTS = {
    **dict.fromkeys(_SKEWED, "this machine's clock and the store's differ: set the one that is wrong"),
    **dict.fromkeys(("ExpiredToken", "InvalidToken"), "renew the credentials: the session token is no longer good"),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch"), "check the credentials"),
}
_FULL = re.compile("quota|full|insufficient(storage|capacity|space)|nospace", re.IGNORECASE)
_CERTIFICATE = re.compile("certificate|SSL|TLS", re.IGNORECASE)
_NO_TLS = re.compile(
    "does not speak TLS|WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|wrong version number|record layer failure"
)
_ONLY_TLS = re.compile(
    r"answers speaks TLS|HTTP request to an HTTPS server|HTTP request was sent to HTTPS port|\\x15\\x03"
)
_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:\w+:)?(\w+)[\s/>]", re.DOTALL)
_CHECK_ENDPOINT = (
    "check the endpoint (AWS_ENDPOINT_URL_S3): MinIO's API, for example, is on port 9000, its console on 9001"
)

Header = Callable[[str], str | None]
"""Returns the value of a header by its name in lower case."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not a success; `status` is None without an answer, and `message` is then the reason.

    `code` is the S3 error code, None where no store speaks. `region` and `endpoint` are where the store places the
    bucket is.
    """

    status: int | None
    message: str
    code: str | None = None
    region: str = ""
    endpoint: str = ""


class Stranger(Exception):
    """What answers is not an S3 store; describes its answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Refused(Exception):
    """An answer that is no success, to be raised where only an exception gets through."""

    def __init__(self, found: Refusal) -> None:
        super().__init__(found)
        self.found = found


def refusal_in(status: int, header: Header, body: bytes) -> Refusal:
    """Read an answer that is no success."""
    text = body[:65536].decode("utf-8", "replace")
    region = header("x-amz-bucket-region") or ""
    if not is_error_document(body):
        return Refusal(status, what_answered(status, header, body), region=region)
    found = dict(re.findall("<(Code|Message|Region|Endpoint)>([^<]*)</", text))
    parts = {name: printable(unescape(value)) for name, value in found.items()}
    return Refusal(
        status,
        parts.get("Message", ""),
        parts.get("Code"),
        region=parts.get("Region") or region,
        endpoint=parts.get("Endpoint", ""),
    )


def refused(access: S3Access, verb: str, key: str, found: Refusal) -> KitError:
    """Return the error that a refusal stands for.

    `verb` is what was asked: create, replace, read, look for or list on the data path, or any other. Nothing but an
    explicit NoSuchKey means that an object to read is absent: a 404 of some proxy must not pass for one. The answer to
    a HEAD has no body; a driver that checks for an object confirms a 404 in another way first.

    Source: Amazon S3 API reference, "Error responses" and "Conditional writes".
    """
    status, code, message = found.status, found.code, found.message
    if code == "NoSuchBucket":
        return BucketMissing(access.bucket, access.where)
    if code == "NoSuchKey" and verb in {"read", "look for", "delete"}:
        return KeyMissing(key)
    # 412 only. A 409 ConditionalRequestConflict means that a race was lost against a write that may itself
    # still fail: nothing may be stored, so it is tried again.
    if status == 412 and verb == "create":
        return KeyTaken(key)
    if (status == 413 or code == "EntityTooLarge") and verb in {"create", "replace"}:
        return BundleRefused(key, f"the store takes no object of this size: {message}")
    kind, hint = _unanswered(access, message) if status is None else _answered(access, found)
    said = " ".join(str(part) for part in (status, code) if part is not None)
    hint = f" ({hint})" if hint else ""
    return kind(f"{verb} {key}".rstrip(), f"{said}: {message}{hint}" if said else f"{message}{hint}")


def estranged(verb: str, key: str, found: Stranger) -> KitError:
    """Return the error for an answer that no store would give."""
    kind = StoreRefuses if found.status < 500 else StoreUnavailable
    said = f"{found.status}: " if found.status >= 300 else ""
    return kind(f"{verb} {key}".rstrip(), f"{said}{found} ({_CHECK_ENDPOINT})")


def what_answered(status: int, header: Header, body: bytes) -> str:
    """Describe an answer that no store would give."""
    content_type = printable((header("content-type") or "").partition(";")[0].strip())
    location = header("location") or ""
    if 300 <= status < 400 and location:
        return f"what answers redirects to {_place(location)}; expected an S3 store"
    text = body[:65536].decode("utf-8", "replace")
    if is_web_page(header, body):
        title = re.search(r"<title[^>]*>(.*?)</title", text, re.IGNORECASE | re.DOTALL)
        name = printable(unescape(title[1]))[:_LONGEST_TITLE] if title else ""
        page = f"a web page titled {name!r}" if name else "a web page"
        return f"what answers sent {content_type or 'no content type'}, {page}; expected an S3 answer"
    if not body.strip():
        return "what answers sent an empty body; expected an S3 answer"
    start = printable(text)[:_LONGEST_MESSAGE]
    return f"what answers sent {content_type or 'no content type'}, {start!r}; expected an S3 answer"


def is_web_page(header: Header, body: bytes) -> bool:
    """Whether an answer is HTML, by its type or, where it has none, by its first bytes."""
    content_type = (header("content-type") or "").lower()
    if content_type and "xml" not in content_type:
        return content_type.startswith("text/html")
    return "xhtml" in content_type or body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def is_done(method: str, status: int, header: Header, body: bytes) -> bool:
    """Whether a success is what S3 answers to a write, whatever type it names: 204, or an ETag and no body."""
    return not body and ((method == "DELETE" and status == 204) or (method == "PUT" and bool(header("etag"))))


def is_error_document(body: bytes) -> bool:
    """Whether a body is the one in which S3 refuses."""
    return root_of(body) == "Error"


def root_of(body: bytes) -> str:
    """Return the name of an XML document's root without its prefix, '' where there is none."""
    found = _ROOT.match(body[:65536])
    return found[1].decode() if found else ""


def printable(text: str) -> str:
    """Return text on one line, in which nothing can steer a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))


def _place(location: str) -> str:
    """Show where a redirect leads; what follows '?' may be a secret, and so may what stands before '@'."""
    try:
        parts = urlsplit(location)
        where = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that cannot be read"
    return printable(f"{parts.scheme}://{where}{parts.path}" if where else parts.path)[:_LONGEST_MESSAGE]


def is_elsewhere(found: Refusal) -> bool:
    """Whether the answer leads to another place."""
    return 300 <= (found.status or 0) < 400 or found.code in _ELSEWHERE


def speaks_only_tls(message: str) -> bool:
    """Whether a message is what a TLS port makes of plain HTTP."""
    return bool(_ONLY_TLS.search(message))


def _unanswered(access: S3Access, message: str) -> tuple[type[StoreUnavailable], str]:
    if _NO_TLS.search(message):
        return StoreRefuses, f"{access.where} speaks no TLS: if that is meant, its endpoint begins with http://"
    if speaks_only_tls(message):
        return StoreRefuses, f"{access.where} speaks TLS: its endpoint begins with https://"
    if _CERTIFICATE.search(message):
        return StoreRefuses, f"AWS_CA_BUNDLE names the authority that {access.where} is trusted by"
    return StoreUnavailable, f"is it running and reachable at {access.where}?"


def _answered(access: S3Access, found: Refusal) -> tuple[type[StoreUnavailable], str]:
    status, code = found.status or 0, found.code or ""
    is_for_somebody = status in _NO or code in _NO_BY_CODE or code in _SKEWED or (not code and 300 <= status < 400)
    kind = StoreRefuses if is_for_somebody else StoreUnavailable
    if speaks_only_tls(found.message):
        kind, hint = StoreRefuses, f"{access.where} speaks TLS: its endpoint begins with https://"
    elif is_elsewhere(found):
        hint = _elsewhere(access, found)
    elif not code and (status < 400 or status == 404 or "web page" in found.message):
        hint = _CHECK_ENDPOINT
    elif status == 507 or _FULL.search(code):
        hint = "the store is full or its quota is used up: make room, or raise the quota"
    else:
        hint = _HINTS.get(code) or ("check the credentials and the bucket's policy" if kind is StoreRefuses else "")
    return kind, hint


def _elsewhere(access: S3Access, found: Refusal) -> str:
    if found.region and found.region != access.region:
        return (
            f"the store says region {found.region}, the request was for {access.region}: set AWS_REGION={found.region}"
        )
    if found.endpoint:
        return f"the store says that the bucket is at {found.endpoint}: set AWS_ENDPOINT_URL_S3 to that host"
    if not found.code:
        return _CHECK_ENDPOINT
    return "the bucket is elsewhere: check the region (AWS_REGION) and the endpoint (AWS_ENDPOINT_URL_S3)"


def require_progress(prefix: str, wanted: str, names: Iterable[str], token: str, following: str) -> str:
    """Check a page of a listing, asked for with `token`, and return `following`, the token of the next.

    `names` are its keys and common prefixes, which have to begin with `wanted`.

    Raises:
        StoreUnavailable: it is not what was asked for, or would never end.
    """
    if stray := next((name for name in names if not name.startswith(wanted)), None):
        why = f"what answers listed {printable(stray)!r}, which does not begin with {wanted!r} as asked for"
        raise StoreUnavailable(f"list {prefix}".rstrip(), why)
    if following and following == token:
        raise StoreUnavailable(f"list {prefix}".rstrip(), "what answers returns one page again and again")
    return following
