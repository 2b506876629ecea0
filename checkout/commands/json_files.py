"""A file that a command is given: one JSON document, of bounded size, refused without a word of what is in it."""

from __future__ import annotations

import json
from typing import Final, TextIO

from checkout.errors import RequestRefused

#: Longer than any form there is, short enough to read whole.
FILE_CHARS_MAX: Final = 1_000_000


def read_json(file: TextIO) -> object:
    """The document in the file; RequestRefused when it cannot be read or is none."""
    try:
        return json.loads(file.read(FILE_CHARS_MAX))
    except (ValueError, RecursionError):
        raise RequestRefused({"file": "it is not JSON in UTF-8"}) from None
    except OSError as problem:
        raise RequestRefused({"file": f"it cannot be read: {problem.strerror}"}) from None
