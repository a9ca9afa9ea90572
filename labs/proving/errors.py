"""The one exception hierarchy of the package."""


class ProvingError(Exception):
    """A failure told to a person: what was tried, what happened, what to do about it."""

    def _render_traceback_(self) -> list[str]:
        """Have notebooks show the sentence alone (IPython's hook for an exception's display)."""
        return [f"{type(self).__name__}: {self}"]


class EngineError(ProvingError):
    """No container engine could be reached, or it went away."""


class NoSuchEngine(EngineError):
    """An environment variable names an engine that is not there, or does not answer."""


class EngineForbidden(EngineError):
    """An engine is there, and this user may not use it."""


class DiskFull(EngineError):
    """A disk has no space left: the engine's, or that of this machine."""


class BaseImageError(ProvingError):
    """A base image could neither be pulled nor built."""


class BuildError(ProvingError):
    """A Dockerfile did not build; the sentence names the step and quotes its last lines.

    `progress` is all that the builder has told; `exit_status` is that of the command that failed,
    or the builder's own where no command did.
    """

    def __init__(self, sentence: str, *, progress: str = "", exit_status: int = 1) -> None:
        super().__init__(sentence)
        self.progress = progress
        self.exit_status = exit_status


class ContainerError(ProvingError):
    """A container did not start, did not become ready or could not be measured."""


class CouldNotMeasure(ProvingError):
    """A figure could not be measured; the claim that needs it is not judged."""


class NotApplicable(ProvingError):
    """A claim is about something that this engine does not have."""


class ClaimFailed(ProvingError):
    """A claim was measured and does not hold."""


class ClaimsFileError(ProvingError):
    """`claims.toml` or a recorded notebook says something that cannot be read."""
