"""`checkout serve`: the service on this host: gunicorn, and one supervised worker."""

from __future__ import annotations

import sys

import click

from checkout import logs
from checkout.app import THREADS
from checkout.commands import parent as parents
from checkout.commands.answers import announce, json_option
from checkout.commands.installation import opened
from checkout.commands.place import Place, PlaceType, listen, url_of
from checkout.commands.supervision import PROCESSES, supervise
from checkout.rules.urls import read_url


@click.command(short_help="The service here: web and one worker.")
@click.option("--bind", type=PlaceType(), default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT")
@click.option("--no-worker", is_flag=True, help="Only the web processes; `checkout worker` runs elsewhere.")
@parents.parent_option
@json_option
@click.pass_context
def serve(ctx: click.Context, bind: Place, no_worker: bool, parent: int | None, as_json: bool) -> None:
    """Check the settings and the database, then serve until SIGTERM or Ctrl-C.

    Web processes and worker are started by exec and end with this process. The worker is started again when it dies.
    """
    parents.follow(parent)
    with opened() as services:
        public_url = services.settings.public_url
    listener = listen(bind)
    logs.configure(sys.stderr)  # everything that can be refused has been by now; what follows runs on
    url = url_of((bind[0], int(listener.getsockname()[1])))
    public = read_url(public_url)
    if public is not None and public.loopback and public.origin != url:
        click.echo(f"warning: links lead to CHECKOUT_PUBLIC_URL, {public_url}; this listens at {url}", err=True)

    def ready(web: int, worker: int | None) -> None:
        document = {"url": url, "public_url": public_url, "pid": web, "worker_pid": worker}
        staff = "no worker here" if no_worker else "one worker"
        text = (
            f"Serving {url} as {public_url} ({PROCESSES} web processes with {THREADS} threads, {staff}). Ctrl-C stops."
        )
        announce(as_json, document, text)
        sys.stdout.flush()

    code = supervise(listener, with_worker=not no_worker, ready=ready)
    if code:
        raise click.ClickException("the web server ended by itself; its log above says why")
    ctx.exit(0)
