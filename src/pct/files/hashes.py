"""Hashes of files."""

import hashlib
from pathlib import Path

# Files are gone through in parts of this many bytes: between two, a thread may wait for the Python of others.
BLOCK = 4 << 20


def sha256(path: Path) -> str:
    """Hash of a file's content as lower-case hex."""
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()
