"""Puts ONNX Runtime for browsers beside the modules that use it, out of its npm package.

    python -m scripts.vendor_onnxruntime
    python -m scripts.vendor_onnxruntime --out FOLDER

npm fetches the package, whose SHA-512 must be the one that the registry gives for the version
below. Two files are kept: the module, as it is, and its WebAssembly, compressed by gzip, because
14 MB are too many for a repository and for a page. The same package gives the same bytes. Only the
build for processors is taken, on one thread: the one for WebGPU is another 27 MB, and threads need
headers that a static host does not send.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

NAME, VERSION = "onnxruntime-web", "1.30.0"

#: What the npm registry gives as `dist.integrity` of this version.
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZ"
    "ClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)

MODULE = "ort.wasm.bundle.min.mjs"
BINARY = "ort-wasm-simd-threaded.wasm"

OUT = Path(__file__).resolve().parent.parent / "daah" / "ui" / "ondevice" / "static" / "runtime"


class VendorError(Exception):
    """The package is not the expected one, or cannot be had."""


def fetch(folder: Path) -> Path:
    """Have npm fetch the package.

    Args:
        folder: where to put it.

    Returns:
        The package's file.

    Raises:
        VendorError: npm is missing or fails, or the package is not the expected one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError("npm is missing; it comes with Node.js")
    command = [npm, "pack", f"{NAME}@{VERSION}", "--json", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise VendorError(f"npm pack ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    (package,) = folder.glob("*.tgz")
    return package


def integrity(data: bytes) -> str:
    """A checksum in the form in which npm gives it.

    Args:
        data: the bytes of a package.

    Returns:
        "sha512-" and the digest in base64.
    """
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")


def vendor(package: Path, out: Path) -> dict[str, object]:
    """Take the two files out of a package.

    Args:
        package: the npm package.
        out: folder that they are written to, with a description of where they are from.

    Returns:
        The description.

    Raises:
        VendorError: the package is not the expected one.
    """
    found = integrity(package.read_bytes())
    if found != INTEGRITY:
        raise VendorError(f"{package.name} has the checksum {found}, expected {INTEGRITY}")
    with tarfile.open(package) as archive:
        kept = {name: _member(archive, f"package/dist/{name}") for name in (MODULE, BINARY)}
    out.mkdir(parents=True, exist_ok=True)
    # No name and no time, so that the same bytes come out each time.
    files = {MODULE: kept[MODULE], f"{BINARY}.gz": gzip.compress(kept[BINARY], 9, mtime=0)}
    for name, data in files.items():
        (out / name).write_bytes(data)
    description: dict[str, object] = {
        "package": NAME,
        "version": VERSION,
        "licence": "MIT",
        "integrity": INTEGRITY,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in kept.items()},
    }
    (out / "package.json").write_text(json.dumps(description, indent=2) + "\n")
    return description


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise VendorError(f"{name} is not a file of the package")
    return file.read()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            description = vendor(fetch(Path(folder)), given.out)
        except VendorError as error:
            parser.exit(1, f"{error}\n")
    print(f"{given.out}: {description['package']} {description['version']}")


if __name__ == "__main__":
    main()
