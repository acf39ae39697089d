"""What can go wrong while training, one class for each thing."""


def shortened(value: object) -> str:
    """Return a value, which may come from a file, for a line of an error."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class TrainError(Exception):
    """The base of every error that this package raises on purpose; its text names the fix."""


class ConfigError(TrainError):
    """The sizes, alphabets or policies asked for do not make a network."""


class DataError(TrainError):
    """A file of pairs or text cannot be used; the text names the file and the line."""


class FitError(TrainError):
    """Training ran and did not end where it must."""


class CheckpointError(TrainError):
    """A checkpoint is missing, damaged, from another version, or cannot be written."""


class ResumeError(TrainError):
    """The unfinished training is missing, damaged, or that of other lines or options."""


class TeamError(TrainError):
    """The processes of a training do not fit together."""


class ReportError(TrainError):
    """The report of a run cannot be written."""
