"""Every error Quipu raises on purpose.

Each carries what a person needs (`message`, and a `hint` on what to do) and what a
machine needs (`retryable`). The edges map them: `cli` to an exit status, `api.errors`
to an HTTP status.
"""


class QuipuError(Exception):
    """Root of the tree; never raised itself.

    Args:
        message: what went wrong and where, in one sentence.
        hint: what the reader can do about it.
    """

    retryable = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(QuipuError):
    """Somebody's input (a file, a request, an option) cannot be used as it is."""


class MappingError(InputError):
    """The mapping file is wrong, or does not fit its source."""


class LimitExceeded(InputError):
    """A configured limit (such as the share of quarantined rows) was passed; nothing was changed."""


class SourceUnavailable(QuipuError):
    """A database that rows are to come from cannot be reached at the moment."""

    retryable = True


class ServiceUnavailable(QuipuError):
    """The scoring service cannot be reached at the moment."""

    retryable = True


class NotYet(QuipuError):
    """What a job builds on is still being made."""

    retryable = True


class QualityError(QuipuError):
    """What a job made does not pass its checks, so nothing may be built on it."""


class NotFound(QuipuError):
    """The named thing does not exist."""


class Conflict(QuipuError):
    """The same id was seen before with other content."""


class BundleError(QuipuError):
    """A model bundle is missing, damaged, or does not fit this store or version."""


class NotEnoughData(QuipuError):
    """There is too little (labelled) history for what was asked."""


class StoreError(QuipuError):
    """The graph store refused or failed an operation."""


class StoreUnavailable(StoreError):
    """The graph store cannot be reached at the moment."""

    retryable = True


class Overloaded(QuipuError):
    """The service has more work waiting than it accepts."""

    retryable = True
