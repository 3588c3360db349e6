"""What all commands share: errors to exit codes, JSON out, progress, and common options."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from daah.errors import ConfigError, DaahError, DataError

if TYPE_CHECKING:
    from tqdm import tqdm

    from daah.models.encoder import FaceEncoder

JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the JSON here, not to stdout.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Trained model. Default: checkpoints/demo.safetensors."),
]
GalleryUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="A folder, or milvus://HOST:PORT/COLLECTION. Default: the built-in gallery/orl.",
    ),
]
GalleryToWrite = Annotated[
    str,
    typer.Option("--gallery", metavar="URI", help="A folder, or milvus://HOST:PORT/COLLECTION."),
]
FacesFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the faces of a gallery on a server. Default: gallery/COLLECTION.",
    ),
]


Fold = Annotated[
    int | None,
    typer.Option(
        metavar="0-4",
        min=0,
        max=4,
        help="Only the people of this fold, md5(name) mod 5. Training leaves out 0 and 1, and"
        " chooses on 1.",
    ),
]


class _Commands(TyperGroup):
    """Commands whose named errors are one line on stderr and exit code 1."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except DaahError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None


def application(text: str) -> typer.Typer:
    """A group of commands with this help text."""
    return typer.Typer(
        help=text,
        cls=_Commands,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def emit(value: dict[str, Any], file: Path | None) -> None:
    """Print a result as JSON, or write it to `file`. Raises DataError when that cannot be done."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if file is None:
        typer.echo(text)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file} cannot be written ({error.strerror}).") from error


def numbers(text: str | None) -> tuple[int, ...]:
    """ "16,24,32" as integers; () for None. Raises ConfigError for anything else."""
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"expected numbers with commas, as 16,24,32; got {text!r}") from None


def load_model(checkpoint: Path | None) -> FaceEncoder:
    """The encoder of a checkpoint, or of the shipped one. Raises CheckpointError."""
    from daah.retrieval.loading import load_default_encoder

    return load_default_encoder(checkpoint)


def about(encoder: FaceEncoder) -> dict[str, Any]:
    """Which checkpoint a result is from."""
    return {"name": encoder.name, "recipe": encoder.recipe, "sha256": encoder.fingerprint}


class Progress:
    """A line on stderr that says how far a command is. Use as a context manager."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._task = ""

    def __call__(self, done: int, total: int, text: str) -> None:
        """`done` of `total` are done; `text` names the current item or step."""
        from tqdm import tqdm

        if self._bar is None or self._bar.total != total or done < self._bar.n:
            self._close()
            self._bar = tqdm(total=total, file=sys.stderr, mininterval=0.5, leave=True)
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(done - self._bar.n)

    def share(self, fraction: float, text: str) -> None:
        """A share of the work in [0, 1] is done; a new `text` is a new line."""
        if text != self._task:
            self._close()
            self._task = text
            typer.echo(text, err=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
