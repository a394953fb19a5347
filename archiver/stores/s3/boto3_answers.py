"""Find out, before botocore reads an answer, whether a store has sent it: to botocore any XHTML is an empty listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archiver.stores.s3.refusals import Header, Stranger, is_error_document, is_web_page, root_of, what_answered

_IN_XML = {"GetBucketVersioning", "GetObjectLockConfiguration", "GetBucketLifecycleConfiguration"}


def refuse_strangers(response_dict: Mapping[str, Any], operation_model: Any, **_: Any) -> None:
    """Handle botocore's event before-parse.

    Raises:
        Stranger: no store would answer so.
    """
    status, headers, body = response_dict["status_code"], response_dict["headers"], response_dict["body"]
    whole = body if isinstance(body, bytes) else b""  # a stream is not read here
    header: Header = headers.get
    name, root = operation_model.name, root_of(whole)
    if status >= 300:
        has_said = is_error_document(whole) or operation_model.http["method"] == "HEAD" or status == 304
        is_strange = not has_said and (status < 400 or status == 404 or is_web_page(header, whole))
    elif name == "ListObjectsV2":
        is_strange = root not in {"ListBucketResult", "Error"}
    elif name in _IN_XML:  # stores differ in what they call the root
        is_strange = root.lower() in {"", "html"}
    else:
        names_amazon = any(name.lower().startswith("x-amz-") for name in headers)
        is_strange = is_web_page(header, whole) and not names_amazon
    if is_strange:
        raise Stranger(status, what_answered(status, header, whole))
