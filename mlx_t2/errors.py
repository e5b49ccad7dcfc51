"""Every error a user can meet; each is also the standard error nearest in meaning.

A message says where, what came, what was expected. The command line prints it in one line and
exits with 1.
"""


class T2Error(Exception):
    """Root of the errors that a user can act on."""


class ConfigError(T2Error, ValueError):
    """A setting or flag is out of range, unknown, or contradicts another: change it."""


class ModelError(T2Error, ValueError):
    """A model cannot be found, loaded or rewritten: choose another."""


class ShapeError(T2Error, ValueError):
    """Arrays do not fit the model they are meant for."""


class ExpertFileError(T2Error, ValueError):
    """An expert file is damaged, foreign, or was trained on another model."""


class TaskDataError(T2Error, ValueError):
    """A task or its data is unknown or malformed."""


class SandboxError(T2Error, RuntimeError):
    """Code cannot be run safely on this machine."""


class CheckpointError(T2Error, RuntimeError):
    """A run folder cannot be written, read or resumed."""
