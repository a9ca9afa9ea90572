"""The greeter, which looks for its greeting in the environment, again for each request."""

import os
from collections import UserDict

import greeter


class Environment(UserDict[str, str]):
    """Settings that are never kept: each is asked for when it is needed."""

    def __getitem__(self, name: str) -> str:
        return os.environ[name.upper()]


greeter.settings = Environment()
greeter.serve()
