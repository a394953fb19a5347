"""Blobs, compressed where that saves something: packed to be stored, unpacked to be read.

zstd at level 3, by measurement: 8 KB of Markdown in 58 µs to 0.50 of its size, where level 1 takes 45 µs and level 6
171 µs for 0.48; 16 MB in 48 ms to 0.19, level 9 in 236 ms to 0.16. A frame has a checksum and states how much it
holds. The key of a blob shows how it was packed, not a header: Content-Encoding would have some clients unpack it and
others not.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from archiver.core.errors import StoreUnavailable
from archiver.core.keys import IDENTITY, ZSTD, codec_in, content_type, digest_in

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="pack")  # each holds 5 MiB
_WORTH_IT = 0.9
_CHUNK_BYTES = 1 << 18
_PIECE_BYTES = 1 << 20
_PACKING: dict[int, int] = {zstd.CompressionParameter.compression_level: 3, zstd.CompressionParameter.checksum_flag: 1}
_UNPACKING: dict[int, int] = {
    zstd.DecompressionParameter.window_log_max: 23
}  # 8 MiB; ours need 2, others could ask for 2 GiB


class NotUnpackable(ValueError):
    """The stored bytes are not one whole frame, or hold more than they may; the message names the case."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A bundle as it is stored: a file, its size and digest, and the codec that made it; `plain_bytes` without that."""

    file: BinaryIO
    size_bytes: int
    sha256: str
    codec: str
    plain_bytes: int

    def about(self, key: str) -> dict[str, Any]:
        """Return the arguments for the store, for `BlobStore.create` and `replace` under that blob key."""
        plain = {"content-sha256": digest_in(key) or "", "content-length": str(self.plain_bytes)}
        metadata = {**plain, "codec": self.codec}
        return {"sha256": self.sha256, "content_type": content_type(key), "metadata": metadata}


def packed(plain: BinaryIO, size: int, digest: str, codec: str | None) -> AbstractAsyncContextManager[Packed]:
    """Pack a bundle of `size` bytes and that digest; without a `codec`, as zstd where that saves a tenth.

    In memory where the bundle is, else in a temporary file.

    Raises:
        StoreUnavailable: there is no room for that file.
    """
    as_it_is = Packed(plain, size, digest, IDENTITY, size)
    return nullcontext(as_it_is) if codec == IDENTITY else _packed(as_it_is, codec)


@asynccontextmanager
async def _packed(as_it_is: Packed, codec: str | None) -> AsyncIterator[Packed]:
    plain, size = as_it_is.file, as_it_is.size_bytes
    in_memory = isinstance(plain, BytesIO)  # then a thread would cost more than the work
    pack = partial(_pack, plain, size)
    found = pack() if in_memory else await asyncio.get_running_loop().run_in_executor(_THREADS, pack)
    with found.file:
        yield found if codec == ZSTD or found.size_bytes <= size * _WORTH_IT else as_it_is


class Unpacker:
    """Unpacks what is stored under a blob's key, chunk by chunk, up to `limit_bytes` where that is given."""

    def __init__(self, key: str, limit_bytes: int | None = None) -> None:
        self._decompressor = zstd.ZstdDecompressor(options=_UNPACKING) if codec_in(key) == ZSTD else None
        self._limit_bytes = limit_bytes
        self.size_bytes = 0
        """How much has come out so far."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Unpack one more chunk, in pieces of at most 1 MiB.

        Raises:
            NotUnpackable: these are not the bytes of one frame, or there is more in it than the limit.
        """
        if self._decompressor is None:
            yield self._counted(chunk)
            return
        try:
            while True:
                yield self._counted(self._decompressor.decompress(chunk, _PIECE_BYTES))
                chunk = b""
                if self._decompressor.eof or self._decompressor.needs_input:
                    break
        except (zstd.ZstdError, EOFError) as error:
            raise NotUnpackable(f"no zstd frame: {error}") from None
        if self._decompressor.unused_data:
            raise NotUnpackable("more follows its zstd frame")

    def end(self) -> None:
        """Note that there are no more chunks.

        Raises:
            NotUnpackable: the frame was cut short.
        """
        if self._decompressor and not self._decompressor.eof:
            raise NotUnpackable("its zstd frame is cut short")

    def _counted(self, piece: bytes) -> bytes:
        self.size_bytes += len(piece)
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            raise NotUnpackable(f"it holds more than {self._limit_bytes} bytes")
        return piece


def _pack(plain: BinaryIO, size: int) -> Packed:
    file: BinaryIO = BytesIO() if isinstance(plain, BytesIO) else TemporaryFile()  # noqa: SIM115 - the caller closes it
    compressor, digest, stored, left = zstd.ZstdCompressor(options=_PACKING), sha256(), 0, size
    compressor.set_pledged_input_size(size)
    plain.seek(0)
    try:
        while True:
            chunk = plain.read(min(_CHUNK_BYTES, left))
            left -= len(chunk)
            frame = compressor.compress(chunk, compressor.CONTINUE if chunk and left else compressor.FLUSH_FRAME)
            digest.update(frame)
            stored += len(frame)
            _write(file, frame)
            if not (chunk and left):
                break
    except zstd.ZstdError as error:
        file.close()
        raise StoreUnavailable("make a compressed copy", f"the bundle changed while it was read: {error}") from error
    except BaseException:
        file.close()
        raise
    return Packed(file, stored, digest.hexdigest(), ZSTD, size)


def _write(file: BinaryIO, frame: bytes) -> None:
    try:
        file.write(frame)
        file.flush()  # here, where a full disk is reported as one
    except OSError as error:
        raise StoreUnavailable("make a compressed copy", f"{error.strerror} (TMPDIR names another place)") from error
