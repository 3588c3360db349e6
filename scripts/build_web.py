"""Builds the page that needs no server: files for any static host, or for a static Space.

    python -m scripts.build_web FOLDER

The page is that of `web/`, the engine that of `daah/ui/ondevice/static`, and the networks are the
files that the server runs. A Space takes the folder as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from daah.errors import CheckpointError, ConfigError, DaahError
from daah.models.calibration import FPIR, FPIR_LEVELS
from daah.models.encoder import FaceEncoder, load_encoder
from daah.paths import PATHS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "web"
ENGINE = ROOT / "daah" / "ui" / "ondevice" / "static"
ICON = ROOT / "daah" / "ui" / "server" / "static" / "favicon.png"

#: The detector's files that the engine runs.
DETECTOR = ("pnet", "rnet", "onet", "nms", "warp")

#: Modules of the engine that the page uses; the folder also holds those of the app's own page.
MODULES = (
    "alignment",
    "codes",
    "colours",
    "detector",
    "drawing",
    "encoder",
    "engine",
    "follower",
    "graphs",
    "resampling",
    "verdict",
    "worker",
)

#: Of the page's folder, what is not part of the page.
_APART = ("SPACE.md",)


def build(out: Path, checkpoint: Path = PATHS.checkpoint) -> None:
    """Write the page into a folder.

    Args:
        out: a folder that does not exist, is empty, or was written by this command.
        checkpoint: the model, as an ONNX graph.

    Raises:
        ConfigError: the folder holds something else, or the model is no graph.
        CheckpointError: the model or a file of the detector is missing or damaged, or the model is
            not calibrated.
        OSError: a file cannot be written.
    """
    if out.exists() and any(out.iterdir()) and not (out / "files.json").is_file():
        raise ConfigError(f"{out} holds something else; give a new or empty folder.")
    if checkpoint.suffix != ".onnx":
        raise ConfigError("The page runs ONNX graphs: give the model's .onnx file.")
    encoder = load_encoder(checkpoint)
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(PAGE, out, ignore=shutil.ignore_patterns(*_APART))
    shutil.copytree(ENGINE / "runtime", out / "engine" / "runtime")
    for name in MODULES:
        shutil.copy(ENGINE / f"{name}.js", out / "engine")
    shutil.copy(ICON, out / "favicon.png")
    shutil.copy(PAGE / "SPACE.md", out / "README.md")
    models = out / "models"
    models.mkdir()
    shutil.copy(checkpoint, models / "encoder.onnx")
    for name in DETECTOR:
        try:
            shutil.copy(PATHS.detector / f"{name}.onnx", models)
        except FileNotFoundError as error:
            raise CheckpointError(f"The face detector's {name}.onnx is missing.") from error
    (models / "model.json").write_text(json.dumps(described(encoder)) + "\n")
    _list_files(out)


def described(encoder: FaceEncoder) -> dict[str, Any]:
    """What the page must know of a model, as plain JSON values.

    Args:
        encoder: the model.

    Returns:
        Name, fingerprint, bits, addresses of the files, and limits of searches and of pairs at the
        whole length.

    Raises:
        CheckpointError: the model is not calibrated at its whole length.
    """
    calibration, bits = encoder.calibration, encoder.bits
    if calibration is None or bits not in calibration.lengths:
        raise CheckpointError("The model is not calibrated, so the page could give no verdict.")
    search = calibration.search_limits(bits)
    pair = calibration.by_bits[bits]
    return {
        "name": encoder.name,
        "fingerprint": encoder.fingerprint,
        "bits": bits,
        "files": {name: f"models/{name}.onnx" for name in (*DETECTOR, "encoder")},
        "search": {"limits": search.limits[FPIR_LEVELS.index(FPIR)], "mated": search.mated},
        "pair": {"threshold": pair.threshold, "probability": pair.probability},
    }


def _list_files(out: Path) -> None:
    """Write the list of files by which the page is kept for use without a connection."""
    digest, names = hashlib.sha256(), ["./"]
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        if path.suffix != ".md" and name not in ("service-worker.js", "index.html"):
            names.append(name)
    listed = {"version": digest.hexdigest()[:16], "files": names}
    (out / "files.json").write_text(json.dumps(listed, indent=1) + "\n")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where to write the page")
    parser.add_argument(
        "--checkpoint", type=Path, default=PATHS.checkpoint, help="the model, an .onnx file"
    )
    given = parser.parse_args()
    try:
        build(given.folder, given.checkpoint)
    except (DaahError, OSError) as error:
        parser.exit(1, f"{error}\n")
    size = sum(path.stat().st_size for path in given.folder.rglob("*") if path.is_file())
    print(f"{given.folder}: {size / 1e6:.1f} MB. Serve it over HTTPS, or as a static Space.")


if __name__ == "__main__":
    main()
