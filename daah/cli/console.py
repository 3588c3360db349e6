"""Shared parts of all commands: exit codes of errors, JSON output, progress, and common options."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from daah.errors import ConfigError, DaahError, DataError
from daah.extras import EXTRAS, missing, top_level

if TYPE_CHECKING:
    from tqdm import tqdm

    from daah.models.encoder import FaceEncoder

JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the JSON to this file; - prints it."),
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Trained model. Default: checkpoints/demo.onnx."),
]
GalleryUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="A folder, milvus://HOST:PORT/COLLECTION, or congress, orl or lfw. Default: congress.",
    ),
]
GalleryToWrite = Annotated[
    str,
    typer.Option("--gallery", metavar="URI", help="A folder, or milvus://HOST:PORT/COLLECTION."),
]
CreateGallery = Annotated[bool, typer.Option("--create", help="Make the gallery if there is none.")]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="Processes that read photos and find faces."),
]
RefusedFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Refused photos and the reasons, as JSON Lines."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Key of the gallery (see gallery key new). Default: DAAH_KEY_FILE.",
    ),
]
FacesFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the faces when the gallery is on a server. Default: gallery/COLLECTION.",
    ),
]


Aligned = Annotated[
    bool, typer.Option("--aligned", help="The tree holds aligned crops, as prepare writes them.")
]
Fold = Annotated[
    int | None,
    typer.Option(
        metavar="0-4",
        min=0,
        max=4,
        help="Only the people of this fold, md5(name) mod 5. Training uses folds 2 to 4 and"
        " validates on 1.",
    ),
]


class _Commands(TyperGroup):
    """Commands whose named errors are one line on stderr and exit code 1.

    So is a package that is not installed, with what to install.
    """

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except DaahError as error:
            problem = error
        except ModuleNotFoundError as error:
            if top_level(error) not in EXTRAS:
                raise
            problem = missing(top_level(error), "This command")
        typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(1)


class _Application(typer.Typer):
    """Commands, of which every one that opens a gallery takes the key of that gallery."""

    def command(self, *arguments: Any, **options: Any) -> Callable[[Callable], Callable]:
        register = super().command(*arguments, **options)

        def decorate(function: Callable) -> Callable:
            names = inspect.signature(function).parameters
            register(_with_key(function) if "gallery" in names else function)
            return function

        return decorate


def _with_key(function: Callable[..., None]) -> Callable[..., None]:
    """A command with the option --key-file, which is in effect while it runs."""
    signature = inspect.signature(function, eval_str=True)
    if "key_file" in signature.parameters:
        return function

    @functools.wraps(function)
    def command(*, key_file: Path | None, **values: Any) -> None:
        from daah.keys import KEY_FILE

        with nullcontext() if key_file is None else _environment(KEY_FILE, str(key_file)):
            function(**values)

    option = inspect.Parameter(
        "key_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=KeyFile
    )
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), option]
    )
    return command


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment, which worker processes inherit, for the block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def application(text: str) -> typer.Typer:
    """Create a group of commands.

    Args:
        text: its help text.

    Returns:
        The group; errors of this package end it with one line on stderr and exit code 1.
    """
    return _Application(
        help=text,
        cls=_Commands,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def emit(value: dict[str, Any], file: Path | None, lines: Sequence[str] = ()) -> None:
    """Print a result as JSON, or write it to a file.

    Args:
        value: plain JSON values.
        file: the file, or "-" for stdout; None prints to stdout.
        lines: the same for people: what a terminal gets where no file was named.

    Raises:
        DataError: the file cannot be written.
        ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if file is None and lines and on_terminal():
        typer.echo("\n".join(lines))
        return
    if file is None or file == Path("-"):
        typer.echo(text)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file} cannot be written ({error.strerror}).") from error


def open_text(path: Path) -> TextIO:
    """Open a text file to write.

    Args:
        path: the file.

    Returns:
        The file.

    Raises:
        DataError: it cannot be opened.
    """
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}).") from error


def on_terminal() -> bool:
    """Whether people read what is printed, not a program."""
    return sys.stdout.isatty()


def numbers(text: str | None) -> tuple[int, ...]:
    """Parse integers separated by commas.

    Args:
        text: such as "16,24,32".

    Returns:
        The integers; () for None.

    Raises:
        ConfigError: the text is something else.
    """
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"expected a list such as 16,24,32; got {text!r}") from None


def load_model(checkpoint: Path | None) -> FaceEncoder:
    """Load the encoder of a checkpoint.

    Args:
        checkpoint: the file; None is the shipped checkpoint.

    Returns:
        The encoder.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    from daah.retrieval.loading import load_default_encoder

    return load_default_encoder(checkpoint)


def about(encoder: FaceEncoder) -> dict[str, Any]:
    """Identity of the checkpoint that a result is from.

    Args:
        encoder: the encoder.

    Returns:
        Its name, recipe and sha256, as plain JSON values.
    """
    from daah.models.keyed import unkeyed

    return {
        "name": encoder.name,
        "recipe": encoder.recipe,
        "sha256": unkeyed(encoder).fingerprint,
    }


class Progress:
    """Progress of a command on stderr. Use it as a context manager."""

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
        """Report the share of the work that is done; a new text starts a new line.

        Args:
            fraction: in [0, 1]; not shown.
            text: name of the step.
        """
        if text != self._task:
            self._close()
            self._task = text
            typer.echo(text, err=True)

    def say(self, text: str) -> None:
        """Print a line above the bar.

        Args:
            text: the line.
        """
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

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
