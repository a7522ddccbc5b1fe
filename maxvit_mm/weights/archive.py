"""The zip archives in which PyTorch keeps checkpoints: their checksums, which torch.load passes over."""

from __future__ import annotations

import zipfile
from pathlib import Path


def damage(path: Path) -> str | None:
    """Why a file that begins as a zip archive is not as it was written; None where it is.

    An archive written after `torch.serialization.set_crc32_options(False)` has no checksums: all are zero.
    """
    try:
        if not zipfile.is_zipfile(path):
            return "its end is missing"
        with zipfile.ZipFile(path) as archive:
            summed = any(record.CRC for record in archive.infolist())
            record = archive.testzip() if summed else None
    except Exception as error:  # a damaged archive may ask for anything, of each part of the module
        return str(error) or type(error).__name__
    return record and f"the bytes of {record} are not those that were written"
