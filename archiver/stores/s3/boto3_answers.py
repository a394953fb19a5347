"""Find out, before botocore reads an answer, whether a store has sent it: to botocore any XHTML is an empty listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archiver.stores.s3.refusals import (
    Header,
    Refused,
    Stranger,
    is_done,
    is_elsewhere,
    is_error_document,
    is_web_page,
    refusal_in,
    root_of,
    speaks_only_tls,
    what_answered,
)

# Operations that answer in XML, with what the name of its root holds: stores differ in the rest of it.
_ROOTS = {
    "GetBucketLifecycleConfiguration": "Lifecycle",
    "GetBucketVersioning": "Versioning",
    "GetObjectLockConfiguration": "ObjectLock",
    "ListObjectsV2": "ListBucketResult",
}
BEFORE_PARSE = "before-parse.*.*"
"""Under this name a handler runs before botocore's own for s3, which turns a 200 without XML into a 500."""


def refuse_strangers(response_dict: Mapping[str, Any], operation_model: Any, **_: Any) -> None:
    """Handle botocore's event `BEFORE_PARSE`.

    Raises:
        Stranger: no store would answer so.
        Refused: the store is elsewhere, or speaks TLS. botocore follows a redirect by itself, without end where the
            store names no region; here, the operator who set region and endpoint has to know.
    """
    status, headers, body = response_dict["status_code"], response_dict["headers"], response_dict["body"]
    whole = body if isinstance(body, bytes) else b""  # a stream is not read here
    header: Header = headers.get
    name, root = operation_model.name, root_of(whole)
    if status >= 300:
        refusal = refusal_in(status, header, whole)
        if status != 304 and (is_elsewhere(refusal) or speaks_only_tls(refusal.message)):
            raise Refused(refusal)
        has_said = is_error_document(whole) or operation_model.http["method"] == "HEAD" or status == 304
        is_strange = not has_said and (status < 400 or status == 404 or is_web_page(header, whole))
    elif name in _ROOTS:
        is_strange = root != "Error" and _ROOTS[name] not in root
    else:
        names_amazon = any(name.lower().startswith("x-amz-") for name in headers)
        is_written = is_done(operation_model.http["method"], status, header, whole)
        is_strange = is_web_page(header, whole) and not names_amazon and not is_written
    if is_strange:
        raise Stranger(status, what_answered(status, header, whole))
