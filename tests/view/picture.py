"""What a test may know of a picture that shmframe-view saved."""

import struct
import zlib

# The colours of the pattern's bars.
BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0),
        (0, 0, 191)]


class Picture:
    """An RGB PNG, read with nothing but zlib."""

    @staticmethod
    def is_whole(path):
        """Whether its last chunk has been written."""
        with open(path, "rb") as file:
            return file.read()[-8:-4] == b"IEND"

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        body, at = b"", 8
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            chunk = data[at + 8:at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, colour = struct.unpack(">IIBB", chunk[:10])
                assert (depth, colour) == (8, 2)
            elif kind == b"IDAT":
                body += chunk
            at += 12 + size
        self.rows = self._unfilter(zlib.decompress(body))

    def _unfilter(self, raw):
        line_bytes = self.width * 3
        rows, above = [], bytearray(line_bytes)
        for y in range(self.height):
            kind = raw[y * (line_bytes + 1)]
            row = bytearray(raw[y * (line_bytes + 1) + 1:(y + 1) * (line_bytes + 1)])
            for i in range(line_bytes):
                left = row[i - 3] if i >= 3 else 0
                corner = above[i - 3] if i >= 3 else 0
                up = above[i]
                if kind == 1:
                    row[i] = (row[i] + left) & 255
                elif kind == 2:
                    row[i] = (row[i] + up) & 255
                elif kind == 3:
                    row[i] = (row[i] + (left + up) // 2) & 255
                elif kind == 4:
                    estimate = left + up - corner
                    distances = [abs(estimate - v) for v in (left, up, corner)]
                    row[i] = (row[i] + (left, up, corner)[distances.index(min(distances))]) & 255
            rows.append(row)
            above = row
        return rows

    def pixel(self, x, y):
        return tuple(self.rows[y][3 * x:3 * x + 3])
