"""Checksums of files of weights: a byte that changed on the way is found before it is learnt from.

PyTorch's zip archives have some, which torch.load passes over. safetensors has none, so ours carry one.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

CHECKSUM = "maxvit_mm_crc32"  # in the metadata of a .safetensors file of ours


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


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of names, types, shapes and values, in hexadecimal digits."""
    total = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        total = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.contiguous().view(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"
