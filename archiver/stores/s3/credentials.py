"""The credentials that requests are signed with, renewed when they run out or are refused."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import TYPE_CHECKING

from archiver.stores.s3.sigv4 import Credentials

if TYPE_CHECKING:
    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.aws_chain import AwsChain

_LONGEST_S = 300.0
_REJECTIONS = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"}


def may_be_rejected(status: int, code: str | None) -> bool:
    """Return whether an answer may mean that the credentials are no longer valid.

    The refusal of a HEAD has no body, and so no code; some stores refuse an expired token with 400.
    """
    return status in {401, 403} or code in _REJECTIONS or (status == 400 and code in {None, "400"})


class RenewingCredentials:
    """Those that were given, which stay; or those that botocore finds, resolved anew when they run out or are refused.

    For one event loop, or for several threads.
    """

    def __init__(self, access: S3Access) -> None:
        self._lock = threading.Lock()
        self._chain: AwsChain | None = None
        self._kept: Credentials | None = None
        self._good_until_s = -math.inf
        self._resolved_s = -math.inf
        self._access = access
        if access.access_key_id and access.secret_access_key:
            self._kept = Credentials(access.access_key_id, access.secret_access_key, access.session_token)
            self._good_until_s = math.inf

    @property
    def now(self) -> Credentials | None:
        """Return those to sign with; None where they have to be renewed first."""
        return self._kept if time.monotonic() < self._good_until_s else None

    async def renewed(self, rejected: Credentials | None = None) -> Credentials:
        """Do as `renew`, without blocking."""
        kept = self.now
        if kept is not None and (kept != rejected or self._good_until_s == math.inf):
            return kept
        return await asyncio.to_thread(self.renew, rejected)

    def renew(self, rejected: Credentials | None = None) -> Credentials:
        """Return credentials that are good now and, where that is possible, others than `rejected`.

        Blocking: it may read files, run a program or ask a service. Of many callers at once one does it for all.

        Raises:
            StoreUnavailable, BadInput: see `AwsChain.credentials`.
        """
        asked_s = time.monotonic()
        with self._lock:
            kept = self.now
            is_answered = kept != rejected or self._good_until_s == math.inf or self._resolved_s >= asked_s
            if kept is not None and is_answered:
                return kept
            from archiver.stores.s3.aws_chain import AwsChain  # noqa: PLC0415 - botocore costs 0.3 s to import; only who needs it pays

            self._resolved_s = time.monotonic()
            if self._chain is None or rejected is not None:
                self._chain = AwsChain(self._access)  # a session caches what it found
            self._kept = Credentials(*self._chain.credentials())
            self._good_until_s = time.monotonic() + min(self._chain.good_for_s(), _LONGEST_S)
            return self._kept
