"""Named errors, one for each door that input comes through.

The message of each is one or two sentences for the person at that door: what was expected, what
came, what to do. None of them ever carries a path of the host that a visitor did not give.
"""


class DaahError(Exception):
    """Base of every error that this package raises on purpose; its text is safe to show."""


class ImageError(DaahError):
    """The bytes are not a photo that can be read within the limits."""


class CheckpointError(DaahError):
    """A checkpoint is missing, damaged, of another version or of another model."""


class GalleryError(DaahError):
    """A gallery is missing, damaged, locked, unreachable or made by another model."""


class DataError(DaahError):
    """A folder tree, manifest or cache for training or bulk work is not as expected."""


class ConfigError(DaahError):
    """A setting or argument is unknown or outside its range."""


class MissingPackageError(DaahError):
    """A package of an extra is not installed; the text says how to install it."""


class HubError(DaahError):
    """A repository of the Hugging Face Hub cannot be read or written; the text says why."""


class KeyMissingError(GalleryError):
    """A gallery has a key, and none was given."""


class KeyMismatchError(GalleryError):
    """A gallery was made with another key than the one that was given."""
