"""Images made and measured with the standard library alone."""

import struct
import zlib


def png(width, height):
    """An image of two colour gradients."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 128)) for x in range(width)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def size(data):
    """Format, width and height of a PNG or a JPEG."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("png", *struct.unpack(">II", data[16:24]))
    if not data.startswith(b"\xff\xd8"):
        raise ValueError(f"neither PNG nor JPEG: {data[:16]!r}")
    position = 2
    while True:
        marker, length = struct.unpack(">xBH", data[position : position + 4])
        # The frame header, in any of its variants; the others there are tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return ("jpeg", width, height)
        position += 2 + length
