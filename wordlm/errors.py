"""What goes wrong by the user's doing: the command line shows it as one line, without a traceback."""


class WordlmError(Exception):
    """Base of every error that a user can cause and mend.

    The message is one line: what was wrong, the rule, what was received, what to do next.
    """


class OptionError(WordlmError, ValueError):
    """An option out of its range, or two options that contradict each other."""


class TextError(WordlmError):
    """A text that cannot be found, read or decoded, or that is too small."""


class VectorError(WordlmError):
    """A file of word vectors that cannot be found or read, or is damaged."""


class BundleError(WordlmError):
    """A folder that is not a saved model, a damaged one, or one of a newer format."""


class TrainingError(WordlmError):
    """Training that cannot start, go on or be resumed."""
