"""Errors that a user can cause. Messages say what was found, what is allowed and what to do."""


def printable(text: object, most: int = 300) -> str:
    """Return text from a file in a form every terminal can show, cut to ``most`` characters.

    Names in a tar and strings in JSON may hold lone surrogates, which no encoding has.
    """
    return str(text)[:most].encode(errors="backslashreplace").decode()


class MascotError(Exception):
    """Base of all errors below; the command prints their message without a traceback."""


class SettingsError(MascotError, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class DataError(MascotError, ValueError):
    """Ratings, or the archive or file that holds them, cannot be used."""


class MissingColumnError(DataError):
    """A file has no such column: ``key`` (user, item or rating), among so many ``columns``."""

    def __init__(self, message: str, key: str, columns: int) -> None:
        super().__init__(message)
        self.key = key
        self.columns = columns


class RatingsWarning(UserWarning):
    """Ratings can be used, but hardly as they are."""


class BaselineWarning(UserWarning):
    """A model predicts no better than a mean or biases do."""


class PruningWarning(UserWarning):
    """Pruning leaves a training nearly nothing to learn with."""


class OneClassWarning(UserWarning):
    """Labels are all alike, so that a metric is not defined."""


class ModelFileError(MascotError, ValueError):
    """A model file is cut, altered, not a model, or of a newer version."""


class NotFittedError(MascotError, ValueError, AttributeError):
    """An estimator was used before ``fit`` or ``load``."""


class DivergenceError(MascotError, ArithmeticError):
    """Training produced factors that are not finite."""


class BuildError(MascotError, ImportError):
    """The native module is missing, stale, or built for a newer jaxlib."""


class ProcessError(MascotError, RuntimeError):
    """The processes of a shared training cannot work together, or one of them has ended."""


class BackendError(MascotError, RuntimeError):
    """The requested back end cannot be used: something is missing or too old."""


class MissingExtraError(MascotError, ImportError):
    """A package that an optional extra installs is missing."""


class CheckpointError(MascotError, ValueError):
    """A checkpoint is cut, altered, of a newer version, or of another training."""


class UnsavableIdsWarning(UserWarning):
    """Ids are Python objects that no file can hold: the model can be used, but not saved."""


class PathError(MascotError, ValueError):
    """A path cannot be that of a local file: it is a URL, or of a user that does not exist."""


class SaveError(MascotError, OSError):
    """A file cannot be written; an existing file is unchanged."""
