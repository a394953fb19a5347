"""Publish to JetStream until the stream holds the message, whatever it says about duplicates.

JetStream answers a message id that it knows with `duplicate: true` and stores nothing. That says nothing about what
is stored: the id may belong to another message, and the first one may have been deleted. So a duplicate is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError

from contracts.bus.connection import Confirmation, place_of, publish_confirmed
from contracts.errors import Unreachable

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.api import RawStreamMsg


async def publish_stored(
    client: Client,
    subject: str,
    payload: bytes,
    *,
    message_id: str,
    headers: Mapping[str, str] | None = None,
    is_ours: Callable[[RawStreamMsg], bool] | None = None,
    timeout_s: float = 5.0,
) -> Confirmation:
    """Publish, and return where the stream holds the message; `message_id` makes a repeat harmless.

    A duplicate counts only if `is_ours` accepts the message that the stream holds; by default one with the same bytes.
    Where it does not, or where it cannot be read, the message is published once more under `<message_id>:again`: a
    second copy is harmless to a consumer that knows events by their content, and a missing one is a loss.

    Raises:
        Unreachable: not confirmed, or the second id was taken for a repeat of another message, too. Publish it again.
    """
    sequence = 0
    for name in (message_id, f"{message_id}:again"):
        confirmation = await publish_confirmed(
            client, subject, payload, message_id=name, headers=headers, timeout_s=timeout_s
        )
        if not confirmation.duplicate:
            return confirmation
        found = await _message(client, confirmation, timeout_s)
        if found is not None and (is_ours(found) if is_ours else (found.data or b"") == payload):
            return confirmation
        sequence = confirmation.sequence
    raise Unreachable(
        f"the stream of {subject}",
        place_of(client),
        f"it takes the message for a repeat of #{sequence}, which is another message, or gone\n"
        "  try again when the stream's duplicate window has passed",
    )


async def _message(client: Client, confirmation: Confirmation, timeout_s: float) -> RawStreamMsg | None:
    try:
        return await client.jetstream(timeout=timeout_s).get_msg(confirmation.stream, confirmation.sequence)
    except (NatsError, OSError, TimeoutError):
        return None
