"""A rig on another store than the one that all tests share."""

from __future__ import annotations

from archiver.dev_servers import S3Server
from tests.faults.kit import Rig


def use_store(rig: Rig, store: S3Server) -> None:
    """Have workers, started from now on, and the oracle use this store."""
    rig.store = store
    rig.environment |= {
        "AWS_ENDPOINT_URL_S3": store.url,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
    }
