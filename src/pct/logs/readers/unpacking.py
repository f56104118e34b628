"""Unpacking within bounds, for bags: the library that reads them unpacks whatever size comes out."""

from __future__ import annotations

import bz2
from collections.abc import Callable
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from pct.logs.readers.base import HARMLESS, MOST_PACKED, DamagedBlock, optional_package


@cache
def bound_unpacking() -> None:
    """Give the library's tables of unpacking functions bounded ones, once."""
    first = optional_package("rosbags.rosbag1.reader", "rosbag", "a ROS bag")
    second = optional_package("rosbags.rosbag2.storage_mcap", "rosbag", "a ROS bag")
    folder = optional_package("rosbags.rosbag2.reader", "rosbag", "a ROS bag")
    lz4 = optional_package("lz4.frame", "rosbag", "a ROS bag")
    first.decompressors |= {
        "bz2": partial(unpack, bz2.BZ2Decompressor),
        "lz4": partial(unpack, lz4.LZ4FrameDecompressor),
    }
    second.DECOMPRESSORS |= {
        "lz4": lambda data, _: unpack(lz4.LZ4FrameDecompressor, data),
        "zstd": lambda data, _: unpack(second.zstd.ZstdDecompressor, data),
    }
    # Bags whose messages are packed one by one.
    zstd = folder.zstd
    folder.zstd = SimpleNamespace(**vars(zstd) | {"decompress": partial(unpack, zstd.ZstdDecompressor)})


def unpack(make: Callable[[], Any], data: bytes) -> bytes:
    """Unpack one block.

    Raises:
        DamagedBlock: it is cut off, or so much larger than its packed form that it is made to fill the
            memory.
    """
    most = max(HARMLESS, MOST_PACKED * len(data))
    unpacker = make()
    content = unpacker.decompress(data, max_length=most)
    if not unpacker.eof:
        raise DamagedBlock(f"a block that is cut off or unpacks to more than {most / 1e6:.3g} MB")
    return bytes(content)


def unpack_start(packing: str, data: bytes) -> bytes:
    """What comes out of a block that is cut off, within the same bounds; nothing of an unknown packing."""
    lz4 = optional_package("lz4.frame", "rosbag", "a ROS bag")
    zstd = optional_package("rosbags.rosbag2.reader", "rosbag", "a ROS bag").zstd
    makers = {"lz4": lz4.LZ4FrameDecompressor, "zstd": zstd.ZstdDecompressor}
    if not packing:
        return data
    if packing not in makers:
        return b""
    try:
        return bytes(makers[packing]().decompress(data, max_length=max(HARMLESS, MOST_PACKED * len(data))))
    except (zstd.ZstdError, RuntimeError, EOFError):
        return b""
