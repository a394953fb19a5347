"""Leave a bundle in a bucket of the NATS Object Store, under the name that it has in the spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, InvalidBucketNameError

from contracts.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from nats.aio.client import Client

_ANSWER_WITHIN_S = 5.0


async def require_bucket(client: Client, bucket: str, *, place: str) -> None:
    """Check that the bucket exists; `place` names the NATS server in errors.

    Raises:
        BadInput: no bucket can have that name.
        Unreachable: the bucket does not exist, or NATS does not answer.
    """
    with _refusals(bucket, place):
        await client.jetstream(timeout=_ANSWER_WITHIN_S).object_store(bucket)


async def put_bundle(client: Client, bucket: str, path: Path, *, place: str) -> None:
    """Put a file into the bucket under its own name, and return once the server has all of it; again is harmless.

    What an interrupted call leaves in the bucket has no name there, and goes when the bucket's age limit comes.

    Raises:
        BadInput: the file cannot be read, or no bucket can have that name.
        Unreachable: not confirmed; put it again.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read the bundle {path}: {error.strerror or error}") from None
    with file, _refusals(bucket, place):
        store = await client.jetstream(timeout=_ANSWER_WITHIN_S).object_store(bucket)
        await store.put(path.name, file)


@contextmanager
def _refusals(bucket: str, place: str) -> Iterator[None]:
    what = f"bucket {bucket} of the object store"
    try:
        yield
    except InvalidBucketNameError:
        raise BadInput(f"{bucket!r} cannot be a bucket; expected letters, digits, '-' and '_'") from None
    except BucketNotFoundError:
        raise Unreachable(what, place, "it does not exist; create it: archiver init (ARCHIVER_OBJECT_STORE)") from None
    except (NatsError, OSError, TimeoutError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error).removeprefix("nats: ")
        raise Unreachable(what, place, why or type(error).__name__) from None
