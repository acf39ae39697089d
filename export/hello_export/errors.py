"""The errors of the export, one class for each kind."""


class ExportError(Exception):
    """Base class of this package's own errors; the text says what to do."""


class ParityError(ExportError):
    """An exported file does not give what PyTorch gives."""


class EngineFailedError(ParityError):
    """An engine does not open an exported file, fails on a case, crashes or does not answer."""


class ArtifactError(ExportError):
    """An artifact folder cannot be read or written, or has changed since it was exported."""


class IntakeError(ExportError):
    """A network from outside cannot be taken in; the text names everything that is wrong."""


class ForwardError(IntakeError):
    """A module's forward does not give what its embedding, recurrence and linear layer give."""


class PageError(ExportError):
    """A page cannot be written."""


class PackageError(ExportError):
    """A package cannot be written: its name or its folder is refused."""
