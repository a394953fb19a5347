"""The credentials that requests are signed with, renewed when they run out."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from archiver.stores.s3.sigv4 import Credentials

if TYPE_CHECKING:
    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.boto3_client import AwsChain

_CHAIN_ASKED_EVERY_S = 300.0  # what it returns is good for ten minutes: see AwsChain.credentials


class RenewingCredentials:
    """Those in the settings, or those that AWS tools find, which are looked up again every five minutes."""

    def __init__(self, access: S3Access) -> None:
        self._chain: AwsChain | None = None
        self._good_until_s = math.inf
        self._kept: Credentials | None = None
        if access.access_key_id and access.secret_access_key:
            self._kept = Credentials(access.access_key_id, access.secret_access_key, access.session_token)

    @property
    def now(self) -> Credentials | None:
        """Return those to sign with; None where `renewed` has to be awaited first."""
        return self._kept if time.monotonic() < self._good_until_s else None

    async def renewed(self) -> Credentials:
        """Look the credentials up again.

        Raises:
            StoreUnavailable, BadInput: see `AwsChain`.
        """
        from archiver.stores.s3.boto3_client import AwsChain  # noqa: PLC0415 - boto3 costs 0.2 s to import; only who needs it pays

        self._chain = self._chain or AwsChain()
        self._kept = Credentials(*await asyncio.to_thread(self._chain.credentials))
        self._good_until_s = time.monotonic() + _CHAIN_ASKED_EVERY_S
        return self._kept
