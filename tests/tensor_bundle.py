"""Reads TensorFlow's checkpoints without TensorFlow, for tests where it is not installed.

A `Saver` V2 index is a LevelDB table, uncompressed, of a protocol buffer for each variable; the data file is
their bytes. `tests/peers` holds this reader against TensorFlow's own.
"""

import struct
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 3: np.int32, 9: np.int64}


def load_checkpoint(prefix):
    return Reader(Path(prefix))


class Reader:
    """As much of `tf.train.load_checkpoint`'s reader as the converter uses."""

    def __init__(self, prefix):
        self.data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
        index = Path(f"{prefix}.index").read_bytes()
        if len(index) < 48 or index[-8:] != struct.pack("<Q", 0xDB4775248B80FB57):
            raise ValueError("not a table: bad magic number")
        footer = index[-48:]
        _, place = varint(footer, 0)
        _, place = varint(footer, place)
        offset, place = varint(footer, place)
        size, _ = varint(footer, place)
        self.entries = {}
        for _, handle in entries(index[offset : offset + size]):
            start, place = varint(handle, 0)
            length, _ = varint(handle, place)
            for key, value in entries(index[start : start + length]):
                if key:  # the empty one is the header
                    self.entries[key.decode()] = message(value)

    def get_variable_to_shape_map(self):
        return {name: self.shape(name) for name in self.entries}

    def shape(self, name):
        # an entry's field 2 is a shape, whose fields 2 are dimensions, whose field 1 is a length
        shape = message(self.entries[name].get(2, [b""])[0])
        return [message(dimension).get(1, [0])[0] for dimension in shape.get(2, [])]

    def get_tensor(self, name):
        entry = self.entries[name]
        offset, size = entry.get(4, [0])[0], entry[5][0]
        if offset + size > len(self.data):
            raise ValueError("the data file is too short")
        return np.frombuffer(self.data[offset : offset + size], DTYPES[entry[1][0]]).reshape(self.shape(name))


def varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def entries(block):
    """Keys share their beginning with the one before; at the end there are places to restart from."""
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    place, key = 0, b""
    while place < end:
        shared, place = varint(block, place)
        own, place = varint(block, place)
        length, place = varint(block, place)
        key = key[:shared] + block[place : place + own]
        yield key, block[place + own : place + own + length]
        place += own + length


def message(data):
    """A protocol buffer as field -> values."""
    fields, place = {}, 0
    while place < len(data):
        tag, place = varint(data, place)
        if tag & 7 == 0:
            value, place = varint(data, place)
        elif tag & 7 == 2:
            length, place = varint(data, place)
            value, place = data[place : place + length], place + length
        else:
            value, place = data[place : place + 4], place + 4
        fields.setdefault(tag >> 3, []).append(value)
    return fields
