"""Models on the Hugging Face Hub: a file of a repository is fetched, a folder is uploaded.

The only module that imports `huggingface_hub`, which is an extra. A repository of this project
holds `model.onnx`, which encodes; `model.safetensors`, from which PyTorch continues; README.md, the
model card; and licences (`daah.evaluation.hub_card` writes such a folder).

A graph is a program, and a branch of a repository is whatever its owner says today: name a whole
commit (40 hexadecimal digits) as revision to get the same bytes for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from daah.errors import CheckpointError, HubError
from daah.extras import extra_packages

#: The file of a repository, or of a folder, that is read unless another one is named.
MODEL = "model.onnx"

#: What is uploaded from a folder, and nothing else that may be in it.
UPLOADED = ("*.onnx", "*.safetensors", "README.md", "LICENSE", "*_LICENSE")

#: No model of this project is near it. Checked before anything is downloaded.
MAX_BYTES = 64 * 2**20

_MODELS = (".onnx", ".safetensors")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def fetch(
    name: str | Path,
    revision: str | None = None,
    file: str = MODEL,
    cache_dir: str | Path | None = None,
) -> Path:
    """The file of a model that is in a folder or in a repository on the Hub.

    Args:
        name: a folder, or OWNER/NAME on the Hub; a folder of that name comes first.
        revision: a branch, a tag or a whole commit; None is the branch main. For the Hub alone.
        file: the file in it: NAME.onnx or NAME.safetensors, also of a folder inside.
        cache_dir: where downloads are kept; None is the Hub's own cache.

    Returns:
        The file, downloaded where needed. What is in the cache is found without a network.

    Raises:
        HubError: `name` is neither, or the repository, revision or file cannot be read.
        CheckpointError: `file` is not a model's, or too large to be one.
    """
    inside = PurePosixPath(file)
    if inside.suffix not in _MODELS or inside.is_absolute() or ".." in inside.parts:
        raise CheckpointError(f"expected a file NAME.onnx or NAME.safetensors, got {file!r}")
    if str(name) and Path(name).is_dir():
        if revision is not None:
            raise HubError(f"{name} is a folder, which has no revisions; got {revision!r}.")
        if not (Path(name) / inside).is_file():
            raise HubError(f"The folder {name} has no {file}; name its model with file=.")
        return Path(name) / inside
    repository = _repository(name)
    hub = _client()
    where: dict[str, Any] = {
        "revision": revision,
        "cache_dir": cache_dir,
        "library_name": "daah",
    }
    with _named_errors(hub, f"{repository}/{file}"):
        size = hub.hf_hub_download(repository, file, dry_run=True, **where).file_size
        if size is None or size > MAX_BYTES:
            raise CheckpointError(
                f"{repository}/{file}: {size or 'unknown number of'} bytes; a model has at most "
                f"{MAX_BYTES >> 20} MB"
            )
        return Path(hub.hf_hub_download(repository, file, **where))


def push_to_hub(
    folder: str | Path,
    name: str,
    *,
    private: bool = True,
    revision: str | None = None,
    message: str = "Upload a model of daah",
) -> str:
    """Upload a folder's model, card and licences to a repository on the Hub.

    The token is the one that `hf auth login` or the variable HF_TOKEN gave.

    Args:
        folder: as `daah.evaluation.hub_card.write_repository` writes it.
        name: OWNER/NAME; the repository is made when there is none.
        private: whether a repository that is made is private.
        revision: the branch; None is main.
        message: summary of the commit.

    Returns:
        The address of the commit.

    Raises:
        HubError: no such name, not permitted, or not reachable.
        CheckpointError: the folder has no model or no card.
    """
    folder, repository = Path(folder), _repository(name)
    if missing := [file for file in (MODEL, "README.md") if not (folder / file).is_file()]:
        raise CheckpointError(
            f"{folder} has no {' and no '.join(missing)}: write it by "
            "'python -m daah hub write NAME.onnx FOLDER'"
        )
    hub = _client()
    with _named_errors(hub, repository):
        api = hub.HfApi(library_name="daah")
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=message,
            revision=revision,
            allow_patterns=list(UPLOADED),
        )
    return str(done.commit_url)


def card_text(metadata: dict[str, Any], results: list[dict[str, Any]], body: str) -> str:
    """A model card, whose front matter the Hub reads.

    Args:
        metadata: keys and values of `huggingface_hub.ModelCardData`.
        results: arguments of one `huggingface_hub.EvalResult` each, for the key model-index.
        body: Markdown.

    Returns:
        The text of README.md.

    Raises:
        MissingPackageError: the extra `hub` is not installed.
    """
    hub = _client()
    found = [hub.EvalResult(**result) for result in results]
    data = hub.ModelCardData(**metadata, eval_results=found or None)
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def _repository(name: str | Path) -> str:
    if not _NAME.fullmatch(str(name)):
        raise HubError(f"expected an existing folder, or OWNER/NAME on the Hub; got {str(name)!r}")
    return str(name)


def _client() -> ModuleType:
    with extra_packages("The Hugging Face Hub"):
        import huggingface_hub
        import huggingface_hub.errors
    return huggingface_hub


@contextmanager
def _named_errors(hub: ModuleType, what: str) -> Iterator[None]:
    """What the client raises, as a sentence of what was asked for."""
    errors = hub.errors
    # What the client's own HTTP library raises, and which library that is, are up to its version.
    transport = errors.HfHubHTTPError.__bases__
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(f"{what}: its owner has to grant access to this account.") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(f"{what}: no such repository, or this account may not see it.") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{what}: the repository has no such revision.") from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(f"{what}: not in the cache, and the Hub cannot be reached.") from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"{what}: no such file in this revision; name it with file=.") from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"{what}: no token; log in with 'hf auth login'.") from error
    except (errors.HfHubHTTPError, errors.HFValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HubError(f"{what}: the Hub refuses ({reason}).") from error
    except (*transport, OSError) as error:
        raise HubError(f"{what}: the Hub cannot be reached ({type(error).__name__}).") from error
