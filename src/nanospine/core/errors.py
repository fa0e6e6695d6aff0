"""The errors that nanospine raises: what was expected, what was found, where, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ConfigError",
    "Fault",
    "GeometryError",
    "NanospineError",
    "ReadError",
    "SchemaError",
    "TooFewPointsError",
    "UnitsError",
    "UnknownFormatError",
    "UnsafeFileError",
    "WriteError",
]


class NanospineError(Exception):
    """Root of every error that nanospine raises on purpose."""


class ReadError(NanospineError):
    """A file cannot be turned into localizations."""


class UnknownFormatError(ReadError):
    """No reader recognises the content of a file."""


class UnsafeFileError(ReadError):
    """A file asks for something a data file must not ask for (code, other files, huge memory)."""


@dataclass(frozen=True)
class Fault:
    """One fault of a table or file: where it is and what is wrong with it."""

    location: str
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class SchemaError(ReadError):
    """A table does not have the columns, types or values that it must have.

    All faults found are in one message, so that a file is mended in one go.

    Examples
    --------
    >>> str(SchemaError.collect("roi1.csv", [Fault("column x_nm", "3 values are NaN")]))
    'roi1.csv: column x_nm: 3 values are NaN'
    """

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)

    @classmethod
    def collect(cls, title: str, faults: Sequence[Fault]) -> SchemaError:
        """Build one error out of all the faults of one thing."""
        if len(faults) == 1:
            return cls(f"{title}: {faults[0]}", faults)
        lines = "".join(f"\n  - {fault}" for fault in faults)
        return cls(f"{title}: {len(faults)} faults:{lines}", faults)


class UnitsError(NanospineError):
    """The unit of a number is unknown, or the number cannot be in the unit that was given."""


class GeometryError(NanospineError):
    """Points, meshes or regions do not allow the operation."""


class TooFewPointsError(GeometryError):
    """There are fewer points than the operation needs."""


class ConfigError(NanospineError):
    """A run configuration holds an unknown key or a value that is not allowed."""


class WriteError(NanospineError):
    """A result cannot be written where or as it was asked."""
