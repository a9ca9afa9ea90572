"""What the application says, and to whom it has said it."""

GREETING = "Hello"


class Guests:
    """The names of those who were greeted, in order and once each."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, name: str) -> None:
        """Remember a name."""
        if name not in self.names:
            self.names.append(name)
