"""Listing a real store through a link that loses every second page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from archiver.stores.listing import in_any_order
from archiver.stores.retrying import RetryingStore
from archiver.stores.s3.direct import DirectStore
from tests.faults.http_faults import Answer
from tests.faults.http_proxy import Forward, HttpFault, HttpProxy, Message
from tests.support.drivers import DRIVERS, opened
from tests.support.store_calls import create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from archiver.core.values import Listed
    from archiver.dev_servers import S3Server
    from archiver.ports import BlobStore
    from archiver.stores.s3.access import S3Access

    Lister = Callable[[RetryingStore, str], AsyncIterator[Listed]]

KEYS = [f"refs/v1/repo=a/agent=b/date=2026-06-{day}/{number:03}.json" for day in (17, 18) for number in range(550)]


@dataclass(frozen=True)
class EverySecondPage(HttpFault):
    """Of each two requests for a page the first is refused; `asked` is after which key each page was to start."""

    asked: list[str] = field(default_factory=list)

    async def exchange(self, request: Message, forward: Forward) -> Message:
        query = parse_qs(urlsplit(request.target).query)
        self.asked.extend(query.get("start-after", [""]))
        return await (Answer(503) if len(self.asked) % 2 else HttpFault()).exchange(request, forward)


def test_a_page_that_is_lost_is_asked_for_again_and_no_page_before_it(s3_server: S3Server, s3_access: S3Access) -> None:
    async def fill() -> None:
        async with opened(DirectStore, s3_access) as store:
            await asyncio.gather(*(create(store, key, b"x") for key in KEYS))

    async def listed(driver: Callable[[S3Access], BlobStore], access: S3Access, lister: Lister) -> list[str]:
        async with asyncio.timeout(60), opened(driver, access) as store:
            return [each.key async for each in lister(RetryingStore(store), "refs/v1/")]

    asyncio.run(fill())
    with HttpProxy(s3_server.port) as link:
        access = replace(s3_access, endpoint_url=f"http://127.0.0.1:{link.port}")
        for driver in DRIVERS:
            link.fault = fault = EverySecondPage(key="list-type=2")
            assert asyncio.run(listed(driver, access, RetryingStore.list)) == KEYS
            assert fault.asked == ["", "", "", access.full_key(KEYS[999])], driver

            link.fault = EverySecondPage(key="list-type=2")
            assert sorted(asyncio.run(listed(driver, access, in_any_order))) == KEYS
