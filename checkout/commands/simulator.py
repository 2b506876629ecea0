"""`checkout simulator`: both providers and the demo shop, for the service that the present settings describe."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from checkout.app import Services
from checkout.commands import parent as parents
from checkout.commands.answers import announce, facts, json_option
from checkout.commands.init import SHOP_PLACE, SIGNING_FILE
from checkout.commands.installation import opened, present_settings
from checkout.commands.place import Place, PlaceType, free_port, url_of
from checkout.config import Mode, Settings
from checkout.errors import KeyRefused, NotFound, NotPossible
from checkout.people import DEMO
from checkout.rules.urls import read_url
from checkout.signing import load_partner_key
from checkout.simulator.options import Options
from checkout.simulator.server import Servers, run

SHOP_NAME: Final = "Demo shop"
#: What the demo shop's deposits are settled as: the simulated Stable Mint delivers nothing else.
SETTLEMENT: Final = {"currency": "EUR", "asset": "USDC", "network": "polygon"}


@dataclass(frozen=True, slots=True)
class DemoStore:
    """The shop's side of the service, made anew at each start."""

    id: str
    name: str
    api_key: str = field(repr=False)
    notification_secret: str = field(repr=False)


@click.command(short_help="Both providers and a demo shop.")
@click.option("--stable-mint", type=PlaceType(), metavar="HOST:PORT", help="Default: where the settings look for it.")
@click.option("--stables", type=PlaceType(), metavar="HOST:PORT", help="Default: where the settings look for it.")
@click.option("--shop", type=PlaceType(), metavar="HOST:PORT", help="Default: 127.0.0.1:8103.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), help="Divides every wait. Default: CHECKOUT_SPEED."
)
@click.option(
    "--signing-key", type=click.Path(path_type=Path), default=SIGNING_FILE, show_default=True,
    help="Private key that signs Stable Mint's webhooks.",
)  # fmt: skip
@parents.parent_option
@json_option
def simulator(
    stable_mint: Place | None, stables: Place | None, shop: Place | None, speed: float | None, signing_key: Path,
    parent: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Stand in for both providers, and for a shop, until SIGTERM or Ctrl-C. All three, or only those given."""
    parents.follow(parent)
    settings = present_settings()
    if settings.mode is not Mode.SANDBOX:
        raise NotPossible("the simulator runs in the sandbox only; live has the real providers")
    if not (stable_mint or stables or shop):
        stable_mint, stables, shop = _settings_place(settings, "mint"), _settings_place(settings, "stables"), SHOP_PLACE
    shop = None if shop is None else (shop[0], shop[1] or free_port(shop[0]))
    store = None if shop is None else _demo_store(url_of(shop))
    options = Options(
        mode=settings.mode.value,
        stable_mint=stable_mint,
        stables=stables,
        shop=shop,
        speed=speed or settings.speed,
        service_url=settings.public_url,
        shop_api_key="" if store is None else store.api_key,
        shop_notification_secret="" if store is None else store.notification_secret,
        **_provider_options(settings, None if stable_mint is None else signing_key),
    )
    try:
        run(options, ready=lambda servers: _say(servers, store, settings, as_json))
    except OSError as problem:
        raise NotPossible(f"the simulator cannot listen: {problem.strerror or problem}") from None


def _settings_place(settings: Settings, which: str) -> Place:
    """Where the service looks for a provider; NotPossible when that is not this machine."""
    name, text = (("STABLE_MINT_API_URL", settings.stable_mint.api_url) if which == "mint"
                  else ("STABLES_API_URL", settings.stables.api_url))  # fmt: skip
    url = read_url(text)
    if url is None or not url.loopback or url.port is None:
        raise NotPossible(
            f"{name} is not on this machine; point it at the simulator, or say what to start: --stables HOST:PORT …"
        )
    return url.host.strip("[]"), url.port


def _provider_options(settings: Settings, signing_key: Path | None) -> dict[str, Any]:
    mint, stables = settings.stable_mint, settings.stables
    named = {"partner_id": mint.partner_id, "partner_name": mint.partner_name}
    return {
        "stable_mint_api_key": mint.api_key,
        "stable_mint_api_secret": mint.api_secret,
        "partner_public_key_pem": mint.private_key.public_pem(),
        "webhook_private_key_pem": "" if signing_key is None else _signing_pem(signing_key, settings),
        "stables_api_key": stables.api_key,
        "stables_webhook_scheme": stables.webhook_scheme,
        "stables_webhook_secret": stables.webhook_secrets[0],
        **{name: value for name, value in named.items() if value is not None},
    }


def _signing_pem(path: Path, settings: Settings) -> str:
    """The simulator's private key; a warning when the service would not believe it."""
    try:
        key = load_partner_key(str(path))
        pem = path.read_text(encoding="ascii")
    except (KeyRefused, OSError, UnicodeDecodeError) as problem:
        hint = "`checkout init` makes one; or give --signing-key FILE"
        raise click.UsageError(f"{path} is not a private key in PEM ({problem}); {hint}") from None
    if key.fingerprint not in settings.stable_mint.webhook_keys.fingerprints():
        click.echo(
            f"warning: the public half of {path} is not in STABLE_MINT_WEBHOOK_PUBLIC_KEY: webhooks will be refused",
            err=True,
        )
    return pem


def _demo_store(shop_url: str) -> DemoStore:
    """The demo shop's store, made or found; with a new API key and a new notification secret."""
    with opened() as services:
        name, ident, api_key = _store_and_key(services, shop_url)
        returns = {f"{outcome}_url": f"{shop_url}/" for outcome in ("success", "exit", "error", "support")}
        secret = services.stores.set(ident, {"notify_url": f"{shop_url}/notifications", **returns}, who=DEMO)
        services.stores.rule(ident, **SETTLEMENT, evidence="recorded", settles_gross=False, who=DEMO)
    return DemoStore(ident, name, api_key, secret or secrets.token_urlsafe())


def _store_and_key(services: Services, shop_url: str) -> tuple[str, str, str]:
    # A store of another origin is left as it is: a shop on another port is another store.
    for name in (SHOP_NAME, f"{SHOP_NAME} at {shop_url.removeprefix('http://')}"):
        try:
            known = services.stores.find(name)
        except NotFound:
            made = services.stores.create(name, [shop_url], who=DEMO)
            return name, made.id, made.api_key
        if shop_url in json.loads(known.origins):
            return name, known.id, services.api_keys.create(known.id, who=DEMO).api_key
    raise NotPossible(f"there is a store {name!r} of another shop; choose another --shop place")


def _say(servers: Servers, store: DemoStore | None, settings: Settings, as_json: bool) -> None:
    options = servers.options
    urls = {
        name: getattr(servers, f"{name}_url")
        for name in ("stable_mint", "stables", "shop")
        if getattr(options, name) is not None
    }
    document = {**urls, "store": None if store is None else store.id, "store_name": None if store is None else store.name,
                "speed": options.speed, "service_url": options.service_url}  # fmt: skip
    expected = {"stable_mint": settings.stable_mint.api_url, "stables": settings.stables.api_url}
    for name, url in urls.items():
        if name in expected and url != expected[name]:
            click.echo(f"warning: the settings look for {name} at {expected[name]}, it is at {url}", err=True)
    text = facts([*((name.replace("_", " "), url) for name, url in urls.items()), ("speed", f"{options.speed:g}"),
                  ("webhooks to", options.service_url), ("store", document["store_name"])])  # fmt: skip
    announce(as_json, document, f"{text}\n\nNo real money moves here. Ctrl-C stops.")
    sys.stdout.flush()
