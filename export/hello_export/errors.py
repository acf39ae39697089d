"""What can go wrong while exporting, one class for each thing."""


class ExportError(Exception):
    """The base of every error that this package raises on purpose; its text names the fix."""


class ParityError(ExportError):
    """An exported file does not say what PyTorch says."""


class EngineError(ParityError):
    """An engine does not open an exported file, fails on a case, or crashes."""


class ArtifactError(ExportError):
    """An artifact folder cannot be written or read, or is not what was exported."""
