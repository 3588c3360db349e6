"""Structure of HEIC and AVIF files (ISO/IEC 23008-12): which image is shown, and what it costs.

A file is a tree of boxes. Its primary item is an image that is coded as a whole, or a grid of tiles
that are; other items may cover it with transparency. Only the boxes are read here, in a bounded
number of steps. A grid that refers to one tile a thousand times costs a thousand tiles.

Metadata and animations are renamed to free space, so that decoders pass over them: EXIF blocks can
refer to themselves so often that parsing takes minutes. The orientation is a property of the image
(`irot`, `imir`) that decoders apply; the EXIF block's is informative, and readers ignore it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from daah.errors import ImageError

#: Boxes of a file. A phone's photo of 48 tiles has about 150.
MAX_BOXES = 2_000

#: Kinds of coded images, by the decoder that takes them.
_CODED = {b"av01": "AVIF", b"hvc1": "HEIF"}

#: Items and boxes that no pixel of the first image depends on.
_METADATA = (b"Exif", b"mime", b"uri ")
_FREE = b"free"

#: Brands of animations, and those of still images in their place.
_STILL = {b"avis": b"avif", b"hevc": b"heic", b"hevx": b"heix", b"msf1": b"mif1"}

#: Brands of photos; others are of videos, or tell nothing.
_PHOTOS = (b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1", *_STILL)

_RARE = (
    "HEIC and AVIF files of this rare kind cannot be read. Open the photo and save it again as an "
    "ordinary JPEG."
)


@dataclass(frozen=True)
class Boxed:
    """The image that a file shows.

    Attributes:
        kind: AVIF or HEIF.
        width: width in pixels, before it is turned.
        height: height in pixels, before it is turned.
        coded: pixels of all coded images that it is made of.
        data: the file without metadata.
    """

    kind: str
    width: int
    height: int
    coded: int
    data: bytes


def is_boxed(data: bytes) -> bool:
    """Whether a file is of boxes: HEIC, AVIF, or a video.

    Args:
        data: the file's bytes.

    Returns:
        Whether it is.
    """
    return data[4:8] == b"ftyp"


def parse(data: bytes) -> Boxed | None:
    """Find the image that a file shows.

    Args:
        data: the file's bytes, of which `is_boxed` is true.

    Returns:
        The image; None for a video.

    Raises:
        ImageError: there are too many boxes, or the image is of a rare kind.
        LookupError: a part is missing.
        struct.error: a part ends within what it should hold.
    """
    return _Parser(data).found()


@dataclass
class _Items:
    """What a file says of its items, by their numbers."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    sizes: list[tuple[int, int] | None] = field(default_factory=list)
    properties: dict[int, list[int]] = field(default_factory=dict)
    tiles: dict[int, list[int]] = field(default_factory=dict)
    covers: list[int] = field(default_factory=list)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    contents: int = 0


class _Parser:
    def __init__(self, data: bytes) -> None:
        self._data, self._kept, self._boxes = data, bytearray(data), 0
        self._items = _Items()

    def found(self) -> Boxed | None:
        items = self._items
        for kind, start, end in self._inside(0, len(self._data)):
            if kind == b"moov":  # an animation, of which the still image is shown
                self._kept[start - 4 : start] = _FREE
            elif kind == b"ftyp":
                for place in range(start, end - 3, 4):
                    brand = self._data[place : place + 4]
                    self._kept[place : place + 4] = _STILL.get(brand, brand)
            elif kind == b"meta" and not items.primary:
                self._meta(start + 4, end)
        if not items.primary:
            if self._data[8:12] in _PHOTOS:
                raise LookupError
            return None
        kind, coded = self._cost(items.primary)
        width, height = self._size(items.primary)
        # Transparency; what else covers an image, such as its depth, is counted as well.
        coded += sum(self._cost(item)[1] for item in items.covers)
        return Boxed(kind, width, height, coded, bytes(self._kept))

    # --- what an image costs ----------------------------------------------------------------------

    def _cost(self, item: int) -> tuple[str, int]:
        """Kind and coded pixels of an image. Raises ImageError for one of other parts."""
        kind = self._items.kinds[item]
        if kind in _CODED:
            width, height = self._size(item)
            return _CODED[kind], width * height
        tiles = self._items.tiles.get(item, [])
        kinds = {self._items.kinds[tile] for tile in tiles}
        if kind != b"grid" or len(kinds) != 1 or not kinds <= _CODED.keys():
            raise ImageError(_RARE)
        self._check_grid(item, len(tiles))
        sizes = {tile: self._size(tile) for tile in set(tiles)}
        return _CODED[kinds.pop()], sum(sizes[tile][0] * sizes[tile][1] for tile in tiles)

    def _size(self, item: int) -> tuple[int, int]:
        """The size that an item has by its property. Raises LookupError without one."""
        of_item = (self._items.sizes[i - 1] for i in self._items.properties[item] if i)
        sizes = {size for size in of_item if size is not None}
        if len(sizes) != 1:
            raise LookupError
        return sizes.pop()

    def _check_grid(self, item: int, tiles: int) -> None:
        """Raise LookupError unless a grid is as large as its property says, of so many tiles."""
        start, length = self._items.places[item]
        flags, rows, columns = struct.unpack_from(">xBBB", self._data, start)
        size = struct.unpack_from(">II" if flags & 1 else ">HH", self._data, start + 4)
        if length < 8 or size != self._size(item) or (rows + 1) * (columns + 1) != tiles:
            raise LookupError

    # --- boxes ------------------------------------------------------------------------------------

    def _inside(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """(kind, start and end of the content) of each box between two places."""
        while start + 8 <= end:
            self._boxes += 1
            if self._boxes > MAX_BOXES:
                raise ImageError(
                    f"The file has more than {MAX_BOXES:,} boxes, which no camera or program needs "
                    "for a photo. Open it and save it again as a new JPEG."
                )
            length, kind = struct.unpack_from(">I4s", self._data, start)
            head = 8
            if length == 1:
                (length,) = struct.unpack_from(">Q", self._data, start + 8)
                head = 16
            stop = end if length == 0 else start + length
            if (length and length < head) or stop > end:
                raise LookupError
            yield kind, start + head, stop
            start = stop

    def _meta(self, start: int, end: int) -> None:
        readers = {
            b"pitm": self._primary,
            b"iinf": self._infos,
            b"iloc": self._locations,
            b"iref": self._references,
            b"iprp": self._all_properties,
        }
        boxes = list(self._inside(start, end))
        for kind, begin, _ in boxes:  # locations may be relative to it
            if kind == b"idat":
                self._items.contents = begin
        for kind, begin, stop in boxes:
            if kind in readers:
                readers[kind](begin, stop)
        items = self._items
        items.covers = [item for item in items.covers if item in items.kinds]

    def _primary(self, start: int, _: int) -> None:
        self._items.primary = self._number(start + 4, self._data[start])

    def _infos(self, start: int, end: int) -> None:
        begin = start + (6 if self._data[start] == 0 else 8)
        for kind, inner, _ in self._inside(begin, end):
            version = self._data[inner]
            if kind != b"infe" or version not in (2, 3):
                continue
            item = self._number(inner + 4, version - 2)
            place = inner + (8 if version == 2 else 10)
            (of_item,) = struct.unpack_from("4s", self._data, place)
            self._items.kinds[item] = of_item
            if of_item in _METADATA:
                self._kept[place : place + 4] = _FREE

    def _references(self, start: int, end: int) -> None:
        version = self._data[start]
        size = 4 if version else 2
        for kind, inner, stop in self._inside(start + 4, end):
            source = self._number(inner, version)
            (count,) = struct.unpack_from(">H", self._data, inner + size)
            first = inner + size + 2
            if first + count * size > stop:
                raise LookupError
            targets = [self._number(first + i * size, version) for i in range(count)]
            if kind == b"dimg":
                self._items.tiles[source] = targets
            elif kind == b"auxl":
                self._items.covers.append(source)

    def _all_properties(self, start: int, end: int) -> None:
        for kind, inner, stop in self._inside(start, end):
            if kind == b"ipco":
                for of_item, begin, _ in self._inside(inner, stop):
                    size = None
                    if of_item == b"ispe":
                        size = struct.unpack_from(">4xII", self._data, begin)
                    self._items.sizes.append(size)
            elif kind == b"ipma":
                self._associations(inner)

    def _associations(self, start: int) -> None:
        version, wide = self._data[start], self._data[start + 3] & 1
        (count,) = struct.unpack_from(">I", self._data, start + 4)
        if count > len(self._items.kinds) + MAX_BOXES:
            raise LookupError
        place = start + 8
        for _ in range(count):
            item = self._number(place, version)
            place += 4 if version else 2
            many = self._data[place]
            form = f">{many}{'H' if wide else 'B'}"
            found = struct.unpack_from(form, self._data, place + 1)
            mask = 0x7FFF if wide else 0x7F  # the highest bit says that it is essential
            self._items.properties[item] = [index & mask for index in found]
            place += 1 + struct.calcsize(form)

    def _locations(self, start: int, _: int) -> None:
        """Place and length of the first piece of each item."""
        version, sizes = self._data[start], self._data[start + 4 : start + 6]
        offset, length, base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
        index = sizes[1] & 15 if version in (1, 2) else 0
        wide = version == 2
        count = self._number(start + 6, wide)
        place = start + (10 if wide else 8)
        for _ in range(min(count, MAX_BOXES + 1)):
            item = self._number(place, wide)
            place += 4 if wide else 2
            inside = 0
            if version in (1, 2):
                inside = struct.unpack_from(">H", self._data, place)[0] & 15
                place += 2
            origin = self._sized(place + 2, base)
            (pieces,) = struct.unpack_from(">H", self._data, place + 2 + base)
            place += 4 + base
            if pieces:
                begin = origin + self._sized(place + index, offset)
                begin += self._items.contents if inside == 1 else 0
                self._items.places[item] = begin, self._sized(place + index + offset, length)
            place += pieces * (index + offset + length)

    def _number(self, place: int, wide: int) -> int:
        return struct.unpack_from(">I" if wide else ">H", self._data, place)[0]

    def _sized(self, place: int, size: int) -> int:
        """A number of 0 to 8 bytes. Raises LookupError beyond the file."""
        if place + size > len(self._data):
            raise LookupError
        return int.from_bytes(self._data[place : place + size], "big")
