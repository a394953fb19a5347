"""The authorities that a store's certificate is checked against: the same ones for every driver.

AWS_CA_BUNDLE or a profile's `ca_bundle` names them; otherwise they are OpenSSL's, which reads SSL_CERT_FILE and
SSL_CERT_DIR, and then what the system has.
"""

from __future__ import annotations

import atexit
import os
import re
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Final

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")  # the names by which OpenSSL finds certificates in a directory


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Make a context that trusts `ca_bundle` alone, or what OpenSSL trusts by default."""
    return ssl.create_default_context(cafile=ca_bundle)


def authorities_file(ca_bundle: Path | None) -> str:
    """Return a PEM file with the certificates that `tls_context` trusts, for boto3, which takes one file only."""
    if ca_bundle is not None:
        return str(ca_bundle)
    paths = ssl.get_default_verify_paths()
    folders = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    in_folders = [
        path
        for folder in map(Path, folders.split(":"))
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if _HASHED.fullmatch(path.name)
    ]
    if paths.cafile and not in_folders:
        return paths.cafile
    return _joined((*([paths.cafile] if paths.cafile else []), *map(str, in_folders)))


@lru_cache(maxsize=4)
def _joined(paths: tuple[str, ...]) -> str:
    """Write certificates into one file, which is deleted when this process ends."""
    with tempfile.NamedTemporaryFile(prefix="kaizen-authorities-", suffix=".pem", delete=False) as joined:
        for path in paths:
            joined.write(Path(path).read_bytes() + b"\n")
    atexit.register(Path(joined.name).unlink, missing_ok=True)
    return joined.name
