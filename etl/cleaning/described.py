"""Codes that say what they mean."""

from enum import StrEnum
from typing import Self


class DescribedCode(StrEnum):
    """A stable code with a description; members are written `NAME = code, description`."""

    description: str

    def __new__(cls, code: str, description: str) -> Self:
        made = str.__new__(cls, code)
        made._value_ = code
        made.description = description
        return made
