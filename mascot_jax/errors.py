"""The errors a user can cause: each message says what was found, what is allowed and what to do."""


def printable(text: object, most: int = 300) -> str:
    """Return text out of a file as every terminal can show it, cut to ``most`` characters.

    Names in a tar, or strings in JSON, may hold halves of characters that no encoding has.
    """
    return str(text)[:most].encode(errors="backslashreplace").decode()


class MascotError(Exception):
    """Base of all errors below; the command line prints its message without a traceback."""


class SettingsError(MascotError, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class DataError(MascotError, ValueError):
    """Ratings, or the archive or file they come from, cannot be used."""


class ModelFileError(MascotError, ValueError):
    """A model file is cut, altered, not a model, or of a newer version."""


class NotFittedError(MascotError, ValueError, AttributeError):
    """An estimator was asked for what only ``fit`` or ``load`` give it."""


class DivergenceError(MascotError, ArithmeticError):
    """Training produced factors that are not finite."""


class BuildError(MascotError, ImportError):
    """The native module is missing, stale, or built for a newer jaxlib."""


class BackendError(MascotError, RuntimeError):
    """The wanted back end cannot be used: something is missing, or too old."""


class MissingExtraError(MascotError, ImportError):
    """A package is missing that an extra installs."""


class CheckpointError(MascotError, ValueError):
    """A checkpoint is cut, altered, of a newer version, or of another training."""


class SaveError(MascotError, OSError):
    """A file cannot be written; what was there before is as it was."""
