"""Every error a user can meet; each is also the standard error nearest in meaning.

A class says what the user can do. A message says where, what it got and what it expected. The
command line prints it in one line and exits with 1.
"""


class T2Error(Exception):
    """Root of the errors that a user can act on."""


class ConfigError(T2Error, ValueError):
    """A setting or flag is out of range, unknown, or contradicts another: change it."""


class ModelError(T2Error, ValueError):
    """A model cannot be found, loaded or rewritten: choose another."""


class ScoresError(ModelError):
    """What a model computes is NaN or infinite: choose another model, or another expert."""

    def __init__(self, message: str, by_scales: bool = False):
        """by_scales: the model is in order without the scales that it wears."""
        super().__init__(message)
        self.by_scales = by_scales


class ModelWarning(UserWarning):
    """A remark on what a model is used for, beside the result; nothing is wrong."""


class ShapeError(T2Error, ValueError):
    """Arrays do not fit the model they are meant for."""


class ExpertFileError(T2Error, ValueError):
    """An expert file is damaged, foreign, or was trained on another model."""


class TaskDataError(T2Error, ValueError):
    """A task or its data is unknown or malformed."""


class SandboxError(T2Error, RuntimeError):
    """The sandbox cannot run programs: nothing is known of what was to be graded."""


class FileError(T2Error, OSError):
    """A file cannot be written or read: give another place, or make room."""


class TrainingError(T2Error, RuntimeError):
    """A training cannot go on: it has diverged, memory is short, or a machine is gone."""


class CheckpointError(T2Error, RuntimeError):
    """A run folder cannot be resumed, or another run is in it: give another one."""


class RequestError(T2Error, ValueError):
    """A request cannot be answered: change it, or send it again later."""
