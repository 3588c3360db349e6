"""Where untrusted bytes come in, as functions of bytes: what `check` raises is a bug.

Atheris drives them (`python tests/fuzz/fuzz.py DOOR`), and pytest on a stored corpus without it.
A door takes whole files where a format can be guessed at, and edits of a whole file where
checksums would refuse every guess: then the right answer or a named error are the only outcomes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import load_file, save, save_file
from starlette.responses import PlainTextResponse
from typer.testing import CliRunner

from daah.config import PAPER
from daah.errors import CheckpointError, ConfigError, DataError, GalleryError, ImageError
from daah.formats import MAX_PIXELS_BOXED, MAX_SCANS, contents
from daah.gallery import Gallery, manifest
from daah.gallery import map as gallery_map
from daah.images import MAX_PIXELS, read_image
from daah.models import checkpoint
from daah.models.ddah import PaperDDAH
from daah.models.encoder import SEAL, load_encoder
from daah.models.graph import export_graph, graph_of
from daah.retrieval import loading
from daah.stores.base import CodeSpec, Meta
from daah.stores.sqlite import SQLiteStore, code_cache, schema
from daah.types import Detection
from daah.ui.page import photos
from daah.ui.search import actions as search_actions
from daah.ui.server.middleware import Gate, RequestGuard
from daah.ui.settings import PREFIX, Settings
from tests.doubles.bad_images import corpus, encoded, picture
from tests.doubles.encoder import ProjectionEncoder
from tests.doubles.encoder import encoded as enrolled
from tests.doubles.waiting import awaited

#: Bytes of one edit of a file: where (little-endian), and what to flip there.
_EDIT = struct.Struct("<IB")


@dataclass(frozen=True)
class Door:
    """check: of bytes; raises nothing when all is well. seeds: bytes to begin with."""

    check: Callable[[bytes], None]
    seeds: list[bytes]


def edit(content: bytes, data: bytes) -> bytes:
    """Content with bytes flipped as `data` says; a last odd part of data cuts it short."""
    changed = bytearray(content)
    whole = len(data) // _EDIT.size * _EDIT.size
    for place, flip in _EDIT.iter_unpack(data[:whole]):
        changed[place % len(changed)] ^= flip
    rest = int.from_bytes(data[whole:], "little")
    return bytes(changed[: len(changed) - rest % len(changed)])


def edits(content: bytes, count: int, seed: int = 0) -> list[bytes]:
    """Edits of one byte each, for `edit`: the file's beginning and end, and places between."""
    rng = np.random.default_rng(seed)
    size = len(content)
    places = [*range(16), *range(size - 16, size), *rng.integers(0, size, count)]
    return [_EDIT.pack(int(place) % size, 1 << int(rng.integers(8))) for place in places]


def said(error: Exception) -> None:
    """What is said of bad input is a sentence or two on one line."""
    text = str(error)
    assert text
    assert len(text) < 700, text
    assert "\n" not in text, text
    assert "Traceback" not in text


# --- photos --------------------------------------------------------------------------------------


def _images() -> Door:
    def check(data: bytes) -> None:
        try:
            rgb = read_image(data)
        except ImageError as error:
            said(error)
            return
        assert rgb.dtype == np.uint8
        assert rgb.ndim == 3
        assert rgb.shape[2] == 3
        assert 0 < rgb.shape[0] * rgb.shape[1] <= MAX_PIXELS

    small = [case.data for case in corpus() if len(case.data) < 20_000]
    return Door(check, small)


def _boxed(kind: str) -> Door:
    """HEIC or AVIF files: what is read has the size that was checked, however it is turned."""

    def check(data: bytes) -> None:
        try:
            found = contents(data)
            rgb = read_image(data)
        except ImageError as error:
            said(error)
            return
        assert rgb.dtype == np.uint8
        assert len(found.data) == len(data)
        limits = sorted((found.height, found.width))
        assert all(side <= most for side, most in zip(sorted(rgb.shape[:2]), limits, strict=True))
        assert found.height * found.width <= MAX_PIXELS_BOXED

    small = picture()
    cover = np.dstack([small, small[..., 0]])
    frames = {"save_all": True, "append_images": [Image.new("RGB", small.shape[1::-1])]}
    orientation = Image.Exif()
    orientation[0x0112] = 6
    seeds = [
        encoded(small, kind),
        encoded(small, kind, exif=orientation),
        encoded(cover, kind),
        encoded(Image.fromarray(small), kind, **frames),
    ]
    if kind == "HEIF":
        seeds.append(encoded(picture(300, 200), kind, tile_size=64))
    return Door(check, seeds)


def _jpeg_structure() -> Door:
    """Segments of whole JPEG files in another order: a pair of bytes each, what to do, and which.

    What is read is what Pillow makes of the whole file, where it reads it too.
    """
    image = Image.fromarray(picture())
    parts = [
        part
        for kind, options in (
            (image, {}),
            (image, {"progressive": True}),
            (image, {"progressive": True, "subsampling": 0, "restart_marker_rows": 1}),
            (image.convert("L"), {"restart_marker_blocks": 1}),
            (image.convert("CMYK"), {"progressive": True}),
        )
        for part in _segments(encoded(kind, "JPEG", **options))
    ]

    def built(data: bytes) -> bytes:
        made = [b"\xff\xd8"]
        for what, which in zip(data[::2], data[1::2], strict=False):
            made.append(
                (
                    parts[which % len(parts)],
                    bytes([0xFF, which]),
                    bytes([0xFF, which, 0, 2 + what // 8]) + bytes(what // 8),
                    bytes([which]) * (1 + what // 8),
                    made[-1] * (which if len(made[-1]) < 5000 else 1),
                    made[-1][: len(made[-1]) * which // 256],
                    b"\xff\xdd\0\4\0" + bytes([which]),
                    b"\xff\xd9",
                )[what % 8]
            )
        return b"".join(made)

    def check(data: bytes) -> None:
        file = built(data[:400])
        try:
            found = contents(file)
            rgb = read_image(file)
        except ImageError as error:
            said(error)
            return
        assert rgb.shape == (found.height, found.width, 3) == picture().shape
        assert found.data.count(b"\xff\xda\0") <= MAX_SCANS
        try:
            with Image.open(io.BytesIO(file), formats=["JPEG"]) as image:
                expected = np.asarray(image.convert("RGB"))
        except Exception:  # it is stricter before the first scan
            return
        assert np.array_equal(rgb, expected)

    whole = [part for part in range(len(parts)) if parts[part][1] == 0xD9]
    first = [0, *(end + 1 for end in whole[:-1])]
    seeds = [
        bytes(b for part in range(start, end + 1) for b in (0, part))
        for start, end in zip(first, whole, strict=True)
    ]
    seeds += [
        seed[:-2] + bytes([4, times, 0, whole[0]]) for seed in seeds for times in (1, 99, 255)
    ]
    return Door(
        check, [*seeds, *(seeds[0][:n] + bytes([what, 3]) for n in (4, 12) for what in range(40))]
    )


def _segments(jpeg: bytes) -> list[bytes]:
    """Segments of a file as Pillow writes it, without its first two bytes; the end is one too."""
    parts, position = [], 2
    while jpeg[position + 1] != 0xD9:
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4])
        if jpeg[position + 1] == 0xDA:
            end = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]").search(jpeg, end).start()
        parts.append(jpeg[position:end])
        position = end
    return [*parts, jpeg[position:]]


# --- checkpoints ---------------------------------------------------------------------------------


def _network() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.safetensors"
        checkpoint.save_checkpoint(
            path, PaperDDAH(48), PAPER, name="paper", training={"seed": 1}, metrics={"map": 0.5}
        )
        return path.read_bytes()


def _checkpoints(folder: Path) -> Door:
    """Edits of a whole checkpoint."""
    content = _network()
    path = folder / "c.safetensors"
    path.write_bytes(content)
    right = checkpoint.load_checkpoint(path)

    def check(data: bytes) -> None:
        changed = edit(content, data)
        path.write_bytes(changed)
        try:
            found = checkpoint.load_checkpoint(path)
        except CheckpointError as error:
            said(error)
            return
        # A space more or less in the header's JSON changes nothing.
        assert (found.fingerprint, found.training, found.metrics, found.config) == (
            right.fingerprint, right.training, right.metrics, right.config,
        )  # fmt: skip

    header = content[: int.from_bytes(content[:8], "little") + 8]
    return Door(check, [b"", *edits(header, 20), *edits(content, 10), b"\x01", b"\xff\xff\x70"])


def _containers(folder: Path) -> Door:
    """Any file under the name of a checkpoint; without the right checksum it is none."""
    path = folder / "any.safetensors"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            checkpoint.load_checkpoint(path)
        except CheckpointError as error:
            said(error)
            return
        raise AssertionError("this is no checkpoint")

    import torch

    small = {"a": torch.zeros(2, 2), "b": torch.ones(3, dtype=torch.int8)}
    text = json.dumps(checkpoint._metadata(PAPER, "x", {}, {}, None))
    whole = save(small, {"daah": text, "sha256": checkpoint._digest(small, text)})
    header = b'{"a":{"dtype":"F32","shape":[4000000000,4],"data_offsets":[0,64]}}'
    return Door(
        check,
        [
            b"", bytes(8), b"\xff" * 8, whole, whole[:-1], save({}, {"daah": "[" * 2000}),
            save(small), struct.pack("<Q", len(header)) + header + bytes(64),
            struct.pack("<Q", 2**40) + header, b"PK\x03\x04" + bytes(50), b"\x80\x04cos\nsystem\n.",
        ],
    )  # fmt: skip


def _graphs(folder: Path) -> Door:
    """Edits of a whole graph: a changed byte anywhere is noticed."""
    checkpoint_path, path = folder / "g.safetensors", folder / "g.onnx"
    checkpoint_path.write_bytes(_network())
    export_graph(checkpoint.load_checkpoint(checkpoint_path), path)
    content = path.read_bytes()

    def check(data: bytes) -> None:
        changed = edit(content, data)
        path.write_bytes(changed)
        try:
            load_encoder(path)
        except CheckpointError as error:
            said(error)
            return
        assert changed == content

    return Door(check, [b"", *edits(content, 30), b"\x01", b"\xff\xff\x70"])


def _other_graphs(folder: Path) -> Door:
    """Files under a checksum that holds, which are no graph of ours."""
    path = folder / "other.onnx"
    text = json.dumps(checkpoint._metadata(PAPER, "x", {}, {}, None) | {"fingerprint": "f" * 64})

    def check(data: bytes) -> None:
        for entry in (b"", _entry(text)):
            path.write_bytes(_sealed(data + entry))
            try:
                load_encoder(path)
            except CheckpointError as error:
                said(error)
                continue
            raise AssertionError("this is no graph of ours")

    import onnx
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

    def model(operator: str, inputs: tuple[str, ...] = ("face",), domain: str = "") -> bytes:
        sides = [make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", 2]) for n in inputs]
        out = make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 48])
        nodes = [make_node(operator, list(inputs), ["logits"], domain=domain)]
        versions = [make_opsetid("", 17), make_opsetid("other", 1)]
        made = make_model(make_graph(nodes, "g", sides, [out]), opset_imports=versions)
        made.ir_version = 8
        return made.SerializeToString()

    whole = model("Identity")
    return Door(
        check,
        [
            b"", bytes(8), b"\xff" * 8, b"no graph", whole, whole[:-3], model("Unheard"),
            model("Identity", domain="other"), model("Concat", ("face", "given")),
        ],
    )  # fmt: skip


def _graph_alone(graph: bytes) -> bytes:
    """A graph without what it says of itself."""
    import onnx

    model = onnx.load_from_string(graph)
    del model.metadata_props[:]
    return model.SerializeToString()


def _entry(text: str) -> bytes:
    """A piece of a graph's file that says `text` of it."""
    import onnx

    model = onnx.ModelProto()
    entry = model.metadata_props.add()
    entry.key, entry.value = "daah", text
    return model.SerializeToString()


def _sealed(body: bytes) -> bytes:
    return body + SEAL + hashlib.sha256(body).hexdigest().encode()


def _descriptions(folder: Path) -> Door:
    """What a checkpoint says of itself, as JSON, under a checksum that holds."""
    path, graph = folder / "described.safetensors", folder / "described.onnx"
    path.write_bytes(_network())
    tensors = load_file(path)
    body = _graph_alone(graph_of(PaperDDAH(48)))

    def check(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        save_file(tensors, path, {"daah": text, "sha256": checkpoint._digest(tensors, text)})
        try:
            stored = checkpoint.load_checkpoint(path)
        except CheckpointError as error:
            said(error)
        else:
            assert isinstance(stored.name, str)
            assert isinstance(stored.training, dict)
            assert isinstance(stored.metrics, dict)
            assert stored.config.bits == 48
        graph.write_bytes(_sealed(body + _entry(text)))
        try:
            found = load_encoder(graph)
        except CheckpointError as error:
            said(error)
            return
        assert isinstance(found.name, str)
        assert all(isinstance(part, dict) for part in found.card.values())
        assert found.bits == 48

    def described(**changes: Any) -> bytes:
        said = checkpoint._metadata(PAPER, "paper", {}, {}, None) | {"fingerprint": "f" * 64}
        said |= changes
        return json.dumps({k: v for k, v in said.items() if v is not ...}).encode()

    def configured(**changes: Any) -> bytes:
        return described(config={"recipe": "paper", "bits": 48, "lengths": [48]} | changes)

    calibration = ProjectionEncoder().calibration.to_dict()
    whole = {"48": calibration["lengths"]["48"]}
    return Door(
        check,
        [
            described(), b"", b"null", b"[]", b"[" * 5000, b'{"schema": 1}', described(schema=2),
            described(schema=True), described(config=[]), described(config=None),
            described(config={}), configured(bits=10**9, lengths=[10**9]), configured(bits="48"),
            configured(bits=48.0), configured(lengths=[]), configured(lengths=[48, "x"]),
            configured(lengths=48), configured(recipe=[]), configured(recipe="demo"),
            configured(more=1), configured(bits=-1, lengths=[-1]), configured(bits=0, lengths=[0]),
            described(fingerprint=...), described(name=7), described(name=...),
            described(training=[]), described(metrics="x"),
            described(alignment=7), described(calibration=[1]), described(calibration={}),
            described(calibration=calibration | {"lengths": whole}),
            described(calibration=calibration | {"lengths": {"x": whole["48"]}}),
            described(calibration=calibration | {"lengths": {"48": 1}}),
            described(calibration=calibration | {"lengths": {"9" * 5000: whole["48"]}}),
            described(calibration=calibration | {"target_far": "NaN"}),
        ],
    )  # fmt: skip


# --- galleries -----------------------------------------------------------------------------------


def _galleries(folder: Path) -> Door:
    """Edits of one file of a gallery: data's first byte chooses which."""
    encoder = ProjectionEncoder()
    home = folder / "g"
    with Gallery.open(home, encoder, source="invented", credit="nobody") as made:
        made.add_many([(f"p{i % 5}", f"p{i % 5}/{i}", enrolled(encoder, i)) for i in range(20)])
        made.draw_map()
    kept = [*home.glob("*.sqlite"), home / "gallery.json", home / "map.npz"]
    kept += sorted(home.rglob("*.png"))[:1]
    contents = {path: path.read_bytes() for path in kept}
    query = enrolled(encoder, 3).code

    def answers() -> list[Any]:
        with Gallery.open(home, encoder, read_only=True) as opened:
            packed = np.packbits(query.bits)[None]
            near = opened.store.search(packed, 30, logits=query.logits[None])
            short = opened.store.search(packed, 30, 24)
            entries = list(opened.entries())
            drawn = opened.map()
            faces = [opened.thumbnail(entry.id).tobytes() for entry in entries]
            told = (opened.people(), opened.count(), opened.provenance, entries, faces)
            found = [(h.ids.tolist(), h.distances.tolist(), h.meta) for h in (near, short)]
        return [told, found, drawn and (drawn.ids.tolist(), drawn.xy.tolist())]

    right = answers()

    def check(data: bytes) -> None:
        path = kept[data[0] % len(kept)] if data else kept[0]
        try:
            path.write_bytes(edit(contents[path], data[1:]))
            found = answers()
        except GalleryError as error:
            said(error)
            return
        finally:
            path.write_bytes(contents[path])
            for left in home.glob("*.sqlite-[ws]*"):
                left.unlink()
        if path.name == projection_name:
            assert found[2] in (None, right[2])  # it is drawn again
        assert found[:2] == right[:2], path.name

    projection_name = "map.npz"
    seeds = [b""]
    for i, path in enumerate(kept):
        rng = np.random.default_rng(i)
        used = np.flatnonzero(np.frombuffer(contents[path], np.uint8))
        places = [_EDIT.pack(int(p), 1 << int(rng.integers(8))) for p in rng.choice(used, 20)]
        chosen = bytes([i])
        seeds += [chosen + part for part in (*edits(contents[path], 10, i), *places, b"\x01")]
        seeds += [chosen + int(n).to_bytes(3, "little") for n in rng.integers(1, len(used), 5)]
    return Door(check, seeds)


def _packed_codes(folder: Path) -> Door:
    """Any header of a file of packed codes, with checksums that are right."""
    path = folder / "p.sqlite"
    spec = CodeSpec(64, "f" * 64)
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (50, 8), np.uint8)
    with SQLiteStore(path, spec, cached_rows=1) as made:
        made.upsert(np.arange(50) * 7, packed, [Meta(f"p{i % 5}", "x", 1.0) for i in range(50)])
    with sqlite3.connect(path) as connection:
        head = schema.read_head(connection, path.name)
    beside = path.with_name("p.sqlite-codes")
    content = beside.read_bytes()
    size = int.from_bytes(content[8:12], "little")
    header, sections = content[12 : 12 + size], content[44 + size :]

    def check(data: bytes) -> None:
        digest = hashlib.sha256(data).digest()
        beside.write_bytes(
            code_cache.MAGIC + len(data).to_bytes(4, "little") + data + digest + sections
        )
        found = code_cache.read(beside, head, digest)
        if found is not None:
            assert found[0] <= head.generation
            assert found[1].ids.tolist() == list(range(0, 350, 7))
            assert np.array_equal(found[1].codes, packed)
        with SQLiteStore(path, spec, read_only=True, cached_rows=1) as opened:
            assert opened.search(packed[:3], 1).ids[:, 0].tolist() == [0, 7, 14]

    facts = json.loads(header)
    odd = [None, True, -1, 0.5, 10**30, "8", [], {}]
    seeds = [json.dumps(facts | {name: value}).encode() for name in facts for value in odd]
    return Door(check, [header, b"", b"[" * 5000, b"null", b"{}", *seeds])


def _descriptions_of_galleries(folder: Path) -> Door:
    """Any gallery.json."""
    encoder = ProjectionEncoder()
    home = folder / "j"
    Gallery.open(home, encoder).close()
    path = home / "gallery.json"
    told = {k: v for k, v in json.loads(path.read_text()).items() if k != "sha256"}

    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            with Gallery.open(home, encoder, read_only=True) as opened:
                assert opened.provenance.fingerprint == encoder.fingerprint
                opened.require_complete()
        except (GalleryError, ConfigError) as error:
            said(error)

    def with_(**changes: Any) -> bytes:
        return json.dumps(told | changes).encode()

    return Door(
        check,
        [
            with_(), b"", b"{}", b"[" * 5000, with_(codes="../../etc/passwd"), with_(codes=""),
            with_(codes="."), with_(codes=".."), with_(codes="x" * 300), with_(codes="\0"),
            with_(bits=10**30), with_(bits=-1), with_(complete=1), with_(schema=None),
            with_(fingerprint=[]), with_(alignment="x"), with_(more=1), with_(photos=True),
            with_(sha256=7), with_(credit="\ud800"), with_(complete=False), b"\xff\xfe",
        ],
    )  # fmt: skip


def _maps(folder: Path) -> Door:
    """Any map.npz."""
    path = folder / "map.npz"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        drawn = gallery_map.load(path)
        assert drawn is None or len(drawn.ids) == len(drawn.xy) == len(drawn.codes)

    buffer = io.BytesIO()
    np.savez(
        buffer,
        ids=np.arange(3),
        xy=np.zeros((3, 2), np.float32),
        codes=np.zeros((3, 2), np.uint8),
        fingerprint=np.array("f"),
    )
    bomb = io.BytesIO()
    np.savez_compressed(bomb, ids=np.zeros(60_000_000, np.uint8))
    return Door(check, [buffer.getvalue(), b"", b"PK\x05\x06" + bytes(18), bomb.getvalue()])


# --- manifests -----------------------------------------------------------------------------------


def _manifests(folder: Path) -> Door:
    """Any CSV manifest; after a first byte 0x50, any Parquet one."""
    tables, sheets = folder / "m.parquet", folder / "m.csv"

    def check(data: bytes) -> None:
        path = tables if data[:1] == b"P" else sheets
        path.write_bytes(data)
        try:
            listed = manifest.listing(path)
            assert listed.total >= 0
            for row in listed.rows():
                if isinstance(row, manifest.Refused):
                    assert row.reason
                    row.photo.encode()
                else:
                    assert 0 <= row.id < 2**63
                    assert row.person == row.person.strip() != ""
                    assert not Path(row.photo).is_absolute()
                    assert ".." not in Path(row.photo).parts
        except DataError as error:
            said(error)

    return Door(check, [*_sheets(), *_tables()])


def _sheets() -> list[bytes]:
    lines = [
        "a,b.jpg", "a,b.jpg,7", "a,b.jpg,-1", f"a,b.jpg,{'9' * 5000}", "a,b.jpg,1.5", "a,/etc/x",
        "a,../../x.jpg", ",b.jpg", "a,", "a", "a,b,1,2,3", '"a', '"a","b"c', "a\tb,c", "\0,b",
        "á,b.jpg", "a" * 300 + ",b", "a,b.jpg,٣", "a,b.jpg, 7 ", "a,b.jpg,1_000",
        f'"{"x" * 200_000}",b', "a,\ud7ff.jpg", "a,~/b.jpg", "a,http://x/y.jpg",
    ]  # fmt: skip
    files = [f"person,photo,id\n{line}\n".encode() for line in lines]
    return [
        *files, b"", b"\n", b"person,photo", b"photo,person\nb,a\n", b"person\na\n",
        b"\xef\xbb\xbf",
        b"person,photo,photo\na,b,c\n", b"\xff\xfep\0", b"person,photo\n\xff,b\n",
        "\N{BYTE ORDER MARK}person,photo\r\na,b\r\n".encode(), b"person,photo\na,b\n" * 50,
    ]  # fmt: skip


def _tables() -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def table(**columns: Any) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer)
        return buffer.getvalue()

    names = {"person": ["a", "b"], "photo": ["1.jpg", "2.jpg"]}
    whole = table(**names, id=[1, 2])
    return [
        whole, table(**names), table(person=["a"]), table(**names, id=[1.5, float("inf")]),
        table(**names, id=[float("nan"), 3.0]), table(**names, id=[[1], [2]]),
        table(**names, id=["x", None]), table(**names, id=[True, False]),
        table(**names, id=[{"a": 1}, {"a": 2}]), table(person=[1, None], photo=[b"\xff", b"a"]),
        table(person=[["a"]], photo=[{"b": 1}]), table(**names, id=[b"7", b"\xff"]),
        *(whole[: len(whole) * part // 8] for part in range(1, 8)), b"PAR1" + bytes(30) + b"PAR1",
        *(edit(whole, data) for data in edits(whole, 30)),
    ]  # fmt: skip


# --- arguments -----------------------------------------------------------------------------------

#: Commands whose work takes minutes: of these only the reading of arguments is tried.
_LONG = {
    "bench", "calibrate", "compare", "compare-models", "evaluate", "evaluate-attention",
    "evaluate-closed", "import-trunk", "prepare", "train", "build",
}  # fmt: skip


def _arguments(folder: Path) -> Door:
    """A command line with an argument a line; {photo}, {gallery} and so on stand for files."""
    from daah.cli import app
    from daah.detection import detector

    encoder = ProjectionEncoder()
    home = folder / "cli"
    home.mkdir()
    (home / "photo.png").write_bytes(encoded(picture(), "PNG"))
    (home / "text.csv").write_text("person,photo\nAnn,photo.png\nBob,none.png\n")
    (home / "tree" / "Ann").mkdir(parents=True)
    shutil.copy(home / "photo.png", home / "tree" / "Ann")
    with Gallery.open(home / "g", encoder) as made:
        made.add("Ann", "Ann/1", enrolled(encoder, 1))
    whole = home / "g-whole"
    shutil.copytree(home / "g", whole)
    known = {name: str(home / name) for name in ("photo.png", "text.csv", "tree", "g", "none")}

    class NoFaces:
        def find(self, rgb: np.ndarray, min_face: float | None = None) -> Detection:
            return Detection(())

        def detect(self, rgb: np.ndarray, min_face: float | None = None) -> list:
            return []

    def check(data: bytes) -> None:
        arguments = [_argument(line, known) for line in data.split(b"\n")[:12]]
        if _LONG & set(arguments) and "--help" not in arguments:
            arguments.append("--help")
        before = Path.cwd()
        replaced = loading.load_default_encoder, loading.DEFAULT_GALLERY, detector.FaceDetector
        loading.load_default_encoder = lambda checkpoint=None: encoder
        loading.DEFAULT_GALLERY = home / "g"
        detector.FaceDetector = NoFaces
        os.chdir(home)
        try:
            result = CliRunner().invoke(app, arguments)
        finally:
            os.chdir(before)
            loading.load_default_encoder, loading.DEFAULT_GALLERY = replaced[:2]
            detector.FaceDetector = replaced[2]
            shutil.rmtree(home / "g")
            shutil.copytree(whole, home / "g")
        unexpected = not isinstance(result.exception, SystemExit | None)
        assert not unexpected, (arguments, result.exception)
        assert result.exit_code in (0, 1, 2), (arguments, result.exit_code)
        assert "Traceback" not in result.stderr
        if result.exit_code == 1 and "verify" not in arguments:
            errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1, (arguments, result.stderr)

    return Door(check, [line.replace(" ", "\n").encode() for line in _LINES])


def _argument(line: bytes, known: dict[str, str]) -> str:
    """One argument; only files of the sandbox can be named by a path."""
    text = line.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    if text.startswith("{") and text.strip("{}") in known:
        return known[text.strip("{}")]
    return text.replace("/", "").replace("..", "").replace("~", "")[:300]


_LINES = [
    "", "--help", "encode", "encode {photo.png}", "encode {none}", "encode {text.csv}",
    "encode {tree}", "encode {photo.png} --logits", "encode {photo.png} --attention off",
    "encode {photo.png} --attention x", "encode {photo.png} --json {tree}",
    "encode {photo.png} --json out.json", "encode \u00e4.jpg", "search {photo.png}",
    "search {photo.png} --gallery {g}", "search {photo.png} --gallery {g} --bits 20",
    "search {photo.png} --gallery {g} --bits 64 -k 3", "search {photo.png} --gallery {g} -k -1",
    f"search {{photo.png}} --gallery {{g}} -k {10**30}", "search {photo.png} --gallery {none}",
    "search {photo.png} --gallery {photo.png}", "search {photo.png} --gallery sqlite:",
    f"search {{photo.png}} --gallery {{g}} --bits {10**30}", "search {photo.png} --gallery {tree}",
    "search {photo.png} --bits x", "gallery", "gallery list", "gallery list --gallery {g}",
    "gallery list --gallery {g} --person Ann", "gallery list --gallery {g} --person Nobody",
    "gallery list --gallery {g} --find x", "gallery export out.jsonl --gallery {g}",
    "gallery export out.parquet --gallery {g}", "gallery export out.txt --gallery {g}",
    "gallery export - --gallery {g}", "gallery export {tree} --gallery {g}",
    "gallery remove Ann --gallery {g}", "gallery remove {none} --gallery {g}",
    "gallery verify --gallery {g}", "gallery verify --gallery {g} --codes --repair",
    "gallery stats --gallery {g} --pairs 3", "gallery stats --gallery {g} --pairs -1",
    "gallery renew --gallery {g}", "gallery copy new --gallery {g}",
    "gallery copy {g} --gallery {g}",
    "gallery copy {photo.png} --gallery {g}", "gallery add {photo.png} --person Ann --gallery {g} "
    "--workers 0", "gallery add {text.csv} --gallery {g} --workers 0 --no-map",
    "gallery add {tree} --gallery {g} --workers 0 --refused {tree}",
    "gallery add {tree} --gallery {photo.png} --workers 0", "gallery add {none} --gallery {g}",
    "gallery add {tree} --gallery {g} --workers -1", "gallery build {tree} --gallery {g}",
    "bench --repeats 0", "train --recipe x", "nonsense", "--version", "-k", "--", "-- --",
]  # fmt: skip


def _settings() -> Door:
    """DAAH_NAME=value, a line each."""

    def check(data: bytes) -> None:
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        environment = {
            PREFIX + name.upper(): value
            for name, _, value in (line.partition("=") for line in lines)
        }
        try:
            found = Settings.from_environment(environment)
        except ConfigError as error:
            said(error)
            return
        assert found.keep_words
        assert found.file_age >= 1

    return Door(
        check,
        [
            b"", b"public=0", b"public=", b"public=maybe", b"keep_seconds=0", b"keep_seconds=-5",
            b"keep_seconds=1e9", b"keep_seconds=" + b"9" * 5000, b"keep_seconds=\xff",
            b"live_workers=0", b"code_url=javascript:alert(1)", b"queue_size= 7 ", b"nonsense=1",
        ],
    )  # fmt: skip


# --- the web surface ------------------------------------------------------------------------------


def _requests() -> Door:
    """A request's first line and headers, a line each, before anything of it is read."""

    async def server(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("reached")(scope, receive, send)

    gates = [
        Gate(RequestGuard(server, 1000, endpoints=("search",)), local) for local in (False, True)
    ]

    async def asked(scope: dict[str, Any], gate: Gate) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await gate(scope, None, send)
        start, body = sent
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        return start["status"], body["body"]

    def check(data: bytes) -> None:
        first, *lines = data.split(b"\n")
        method, _, path = first.partition(b" ")
        headers = [
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in lines)
        ]
        scope = {
            "type": "http", "method": method.decode("latin-1").upper() or "GET",
            "path": path.decode("utf-8", "replace"), "headers": headers,
            "server": ("127.0.0.1", 80),
        }  # fmt: skip
        for gate in gates:
            status, body = awaited(asked, scope, gate)
            assert status in (200, 403, 404, 411, 413, 415, 503), status
            assert b"Traceback" not in body
            told = dict(reversed(headers))
            if status == 200 and b"origin" in told and scope["method"] not in ("GET", "HEAD"):
                hosts = told.get(b"host", b"") + b"," + told.get(b"x-forwarded-host", b"")
                same = told.get(b"sec-fetch-site") == b"same-origin"
                own = told[b"origin"].lower().partition(b"://")[2].split(b"/")[0].strip()
                assert same or own in hosts.lower()

    site = b"\nHost: faces.example\nOrigin: "
    post = b"POST /gradio_api/queue/join"
    return Door(
        check,
        [
            b"", b"GET /", post, post + site + b"https://faces.example", post + site + b"null",
            post + site + b"https://evil.example", post + site + b"http://[", post + site,
            post + site + b"https://evil.example\nX-Forwarded-Host: evil.example",
            post + site + b"https://evil.example\nSec-Fetch-Site: same-origin",
            post + site + b"https://faces.example\nOrigin: null", b"OPTIONS /x" + site + b"https://a",
            b"POST /gradio_api/upload\nContent-Length: 99999999999999999999",
            b"POST /gradio_api/upload\nContent-Length: -1", b"POST /x\nTransfer-Encoding: chunked",
            b"GET /gradio_api/file=http://x", b"GET //proxy=x", b"POST /gradio_api/call/_search",
            b"GET /\nHost: [::1", b"GET /\nHost: 127.0.0.1:x", b"GET /\nHost: \xff\xfe",
            "GET /gradio_api/call/v2/\u0661".encode(), b"POST /gradio_api/component_server",
        ],
    )  # fmt: skip


def _texts() -> Door:
    """What comes as text and stands for a file: base64, a data URI, a painting."""

    def check(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for read in (photos.base64_bytes, search_actions.painted_mask):
            try:
                read(text)
            except ImageError as error:
                said(error)
        assert isinstance(photos.data_uri_bytes(text), bytes)

    photo = base64.b64encode(encoded(picture(), "PNG"))
    return Door(
        check,
        [
            photo, b"data:image/png;base64," + photo, b"data:image/png;base64,", b";base64,", b"",
            b"data:text/html;base64,AAAA", b"AAA", b"A A\nA=", b"\xff\xfe", b"http://x/y.png",
            b"data:image/png;base64,data:image/png;base64,AAAA", b"=" * 100, "\u0661".encode(),
        ],
    )  # fmt: skip


def open_doors(folder: Path) -> dict[str, Callable[[], Door]]:
    """All doors by name; each writes under `folder` alone."""
    return {
        "images": _images,
        "heic": lambda: _boxed("HEIF"),
        "avif": lambda: _boxed("AVIF"),
        "jpeg-structure": _jpeg_structure,
        "checkpoints": lambda: _checkpoints(folder),
        "containers": lambda: _containers(folder),
        "graphs": lambda: _graphs(folder),
        "other-graphs": lambda: _other_graphs(folder),
        "descriptions": lambda: _descriptions(folder),
        "galleries": lambda: _galleries(folder),
        "packed-codes": lambda: _packed_codes(folder),
        "gallery-json": lambda: _descriptions_of_galleries(folder),
        "maps": lambda: _maps(folder),
        "manifests": lambda: _manifests(folder),
        "arguments": lambda: _arguments(folder),
        "settings": _settings,
        "requests": _requests,
        "texts": _texts,
    }
