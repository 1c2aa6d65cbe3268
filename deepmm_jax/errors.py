"""What can go wrong for reasons the user can mend. Every message is one sentence that names the file and the value."""


class DeepMMError(Exception):
    """Base of the errors that the command line prints without a traceback (exit code 2)."""


class MapError(DeepMMError):
    """A density map cannot be read or used."""


class StructureError(DeepMMError):
    """A structure file cannot be read or lacks what is needed."""


class SequenceError(DeepMMError):
    """A sequence or a secondary-structure prediction cannot be read or does not fit."""


class CheckpointError(DeepMMError):
    """Trained weights are missing, damaged or belong to another network."""


class ConfigError(DeepMMError):
    """An option or a configuration file holds a value that cannot be used."""


class NothingBuiltError(DeepMMError):
    """The input is sound, but no model can be built from it (exit code 3)."""
