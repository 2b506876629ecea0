"""The command line: every command in one group, and the one place where an error becomes a message and an exit code.

0 is done, 1 is failed, 2 is wrong usage or settings. Errors go to stderr as text; with ``--json`` one document with
``error`` goes to stdout too, so that a program always finds exactly one there.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from checkout import logs
from checkout.commands.accounts import accounts
from checkout.commands.cases import cases
from checkout.commands.customers import customers
from checkout.commands.demo import demo
from checkout.commands.doctor import doctor
from checkout.commands.events import events
from checkout.commands.evidence import evidence
from checkout.commands.init import init, migrate
from checkout.commands.keys import keys
from checkout.commands.notifications import notifications
from checkout.commands.payments import payments
from checkout.commands.payouts import payouts
from checkout.commands.people import people
from checkout.commands.policies import policies
from checkout.commands.refunds import refunds
from checkout.commands.report import report, trace
from checkout.commands.restore import reconcile, restore
from checkout.commands.serve import serve
from checkout.commands.simulator import simulator
from checkout.commands.stables import stables
from checkout.commands.statement import statement
from checkout.commands.stores import stores
from checkout.commands.treasury import deposits, treasury
from checkout.commands.worker import worker
from checkout.errors import CheckoutError, RequestRefused, SettingsRefused

FAILED: Final = 1
WRONG_USAGE: Final = 2


class CommandLine(click.Group):
    """A group whose errors are sentences, and documents where ``--json`` asks for one."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run one command and exit; never returns."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in words
        try:
            result = super().main(words, prog_name or "checkout", complete_var, False, **extra)
        except SettingsRefused as refused:
            _fail(as_json, WRONG_USAGE, refused, _settings_text(refused), problems=dict(refused.problems))
        except RequestRefused as refused:
            _fail(as_json, FAILED, refused, _fields_text(refused), fields=refused.fields)
        except CheckoutError as error:
            _fail(as_json, FAILED, error, str(error))
        except click.UsageError as error:
            _fail(as_json, WRONG_USAGE, error, _usage_text(error))
        except click.ClickException as error:
            _fail(as_json, error.exit_code, error, error.format_message())
        except (click.Abort, KeyboardInterrupt) as stopped:
            _fail(as_json, FAILED, stopped, "stopped before it was done")
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has gone; the interpreter would complain about flushing
            sys.exit(FAILED)
        except Exception as error:  # the outermost one: a bug, shown by its places, never by values it may quote
            _fail(as_json, FAILED, error, _bug_text(error))
        sys.exit(result if isinstance(result, int) else 0)


def _fail(as_json: bool, code: int, error: BaseException, message: str, **more: object) -> NoReturn:
    """Say it, and exit. The document has the same words; ``more`` has what a program would pick out of them."""
    click.echo(f"checkout: {message}", err=True)
    if as_json:
        click.echo(json.dumps({"error": message, "kind": _kind(error), **more}, indent=2))
    sys.exit(code)


def _kind(error: BaseException) -> str:
    """``SettingsRefused`` → ``settings_refused``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def _fields_text(refused: RequestRefused) -> str:
    return "\n".join(
        ["this cannot be taken:", *(f"  {name}: {' '.join(said)}" for name, said in refused.fields.items())]
    )


def _settings_text(refused: SettingsRefused) -> str:
    width = max((len(name) for name, _ in refused.problems), default=0)
    lines = [f"  {name:<{width}}  {reason}" for name, reason in refused.problems]
    hint = "Set them in the environment or in .env (`checkout init` writes one for the sandbox)."
    return "\n".join(["these settings are missing or malformed:", *lines, hint])


def _usage_text(error: click.UsageError) -> str:
    help_ = f"\nTry `{error.ctx.command_path} --help`." if error.ctx is not None else ""
    return f"{error.format_message()}{help_}"


def _bug_text(error: Exception) -> str:
    frames = logs.frames_only(None, "", {"exc_info": error})["frames"]
    return "\n".join([f"a bug in checkout ({type(error).__name__}); please report these lines:", *frames])


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="checkout", prog_name="checkout")
def cli() -> None:
    """Take a payment through Stable Mint; see the money arrive in the bank through Stables; explain every cent."""


for _command in (
    init, migrate, keys, doctor, serve, worker, simulator, demo, stores, people, stables,
    accounts, customers, payments, events, notifications, cases,
    treasury, deposits, payouts, policies, refunds, trace, report, statement, evidence, restore, reconcile,
):  # fmt: skip
    cli.add_command(_command)


def main() -> NoReturn:
    """The ``checkout`` command."""
    cli.main()
    raise AssertionError("the group exits by itself")
