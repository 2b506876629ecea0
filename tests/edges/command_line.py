"""The command line as a test types it: words in, exit code, text or document out. No process is started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result

from checkout.cli import cli
from checkout.environment import VARIABLES

#: What must not leak in from whoever runs the tests.
CLEAN: Mapping[str, str | None] = {**dict.fromkeys(VARIABLES), "CHECKOUT_AS_SECRET": None}


@dataclass(frozen=True)
class Terminal:
    """An environment to type in; the working directory is the test's own business."""

    environ: Mapping[str, str]

    def type(self, *words: str, **more: str) -> Result:
        return CliRunner().invoke(cli, list(words), env={**CLEAN, **self.environ, **more})

    def say(self, *words: str, code: int = 0, **more: str) -> str:
        """What a person reads; stderr follows stdout."""
        result = self.type(*words, **more)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result.output

    def ask(self, *words: str, code: int = 0, **more: str) -> Any:
        """The one document on stdout."""
        result = self.type(*words, "--json", **more)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)
