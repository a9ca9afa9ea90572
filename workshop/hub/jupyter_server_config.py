"""JupyterLab and the guide's site at a seat, as `nox -s guide` has them, but for signing in."""

from proving.room import seat

c = get_config()  # noqa: F821 - Jupyter gives it to configuration files
c.merge(seat.configuration())
