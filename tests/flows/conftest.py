"""What the long properties share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the machine has one: real SQLite files, quick to commit."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made inside
    if not shared.is_dir():
        yield tmp_path
        return
    made = Path(tempfile.mkdtemp(prefix="checkout-", dir=shared))
    yield made
    shutil.rmtree(made)
