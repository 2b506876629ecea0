"""Every setting of the service: one frozen value, built from a mapping, complete or refused.

A service that takes money must not start half configured, so all problems are reported at once, by name, and
no value is ever shown. Only the doors read the real environment; they pass it in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

from checkout.environment import VARIABLES, Environment
from checkout.errors import KeyRefused, SettingsRefused
from checkout.rules.urls import PageDomain, WebUrl, host_within, page_allowed, page_domain
from checkout.sealing import data_key_problem
from checkout.signing import (
    PartnerKey,
    VerifyingKeys,
    load_partner_key,
    load_verifying_keys,
    stables_secret_problem,
)

__all__ = [
    "VARIABLES",
    "Mode",
    "PageDomain",
    "Settings",
    "StableMintSettings",
    "StablesSettings",
    "page_allowed",
]

FLOWS: Final = ("hosted", "hosted_partner", "embedded")

#: The keys of `keys.example/`, which everybody has: SHA-256 of the public half (SPKI, DER).
EXAMPLE_KEYS: Final = frozenset(
    {
        "b48f5652ce3bfd4a25556b742f110711360cb166046d50e3c8afff5f1a2090b2",  # partner
        "b9f6ec6419c4508884336d33c0919a896733161900c6b75436a2ae12a921781a",  # simulator
    }
)
_EXAMPLE_REFUSED: Final = "is an example key, which everybody has; live needs your own (`checkout keys generate`)"

SECRET_KEY_CHARS_MIN: Final = 16  # live only

_STABLE_MINT_LIVE: Final = "stablemint.io"  # CONFIRMED, as is the rule: swap the base domain for the sandbox
_STABLE_MINT_SANDBOX: Final = "stablemint.net"
_STABLES_LIVE: Final = "stables.money"
_STABLES_SANDBOX: Final = "sandbox.stables.money"

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class Mode(StrEnum):
    """What money is at stake."""

    SANDBOX = "sandbox"  #: the providers' sandboxes, or our simulator: no real money
    LIVE = "live"  #: real money: no simulator, no plain http, no example keys, no faster clock


@dataclass(frozen=True, slots=True, kw_only=True)
class StableMintSettings:
    """The payment provider."""

    api_url: str  #: no trailing slash
    page_domains: tuple[PageDomain, ...]
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    private_key: PartnerKey = field(repr=False)
    webhook_keys: VerifyingKeys = field(repr=False)
    webhook_tolerance: timedelta  #: both ways; never scaled
    flows: frozenset[str]  #: of hosted, hosted_partner, embedded
    partner_id: str | None
    partner_name: str | None
    v1_accepted_is: str  #: settled or accepted
    widget_url: str | None
    site_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StablesSettings:
    """The payout provider."""

    api_url: str  #: no trailing slash
    api_key: str = field(repr=False)
    webhook_scheme: str  #: svix or hmac
    webhook_secrets: tuple[str, ...] = field(repr=False)
    extras: bool  #: whether operations outside the published OpenAPI are used
    key_lifetime: timedelta  #: how long an Idempotency-Key may be repeated
    funding_window: timedelta | None  #: from the transfer's creation; None: up to the quote's expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the service needs to know before it starts."""

    mode: Mode
    public_url: str  #: no trailing slash
    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    data_keys: tuple[str, ...] = field(repr=False)  #: Fernet keys, newest first
    trusted_proxies: int
    metrics_token: str | None = field(repr=False)
    stable_mint: StableMintSettings
    stables: StablesSettings
    provider_timeout: timedelta  #: never scaled
    lease: timedelta  #: never scaled
    speed: float  #: 1 in live

    def scaled(self, duration: timedelta) -> timedelta:
        """``duration`` on the sandbox's clock; not for provider timeout, lease or webhook tolerance."""
        return duration / self.speed

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read every variable of :data:`VARIABLES`; :class:`SettingsRefused` names every problem at once."""
        env = Environment(environ)
        chosen = env.choice("CHECKOUT_MODE", [mode.value for mode in Mode])
        # With a mistyped mode neither mode's rules apply: they would add wrong problems to the right one.
        unclear = any(name == "CHECKOUT_MODE" for name, _ in env.problems)
        settings = _Reading(env, None if unclear else Mode(chosen)).settings()
        if settings is None or env.problems:
            raise SettingsRefused(env.problems)
        return settings


class _Reading:
    """One pass over the environment, under the rules of one mode (None: the mode itself is not readable)."""

    def __init__(self, env: Environment, mode: Mode | None) -> None:
        self.env = env
        self.live = mode is Mode.LIVE
        self.sandbox = mode is Mode.SANDBOX

    def settings(self) -> Settings | None:
        """Everything; None (and problems noted) when what is missing has no stand-in."""
        env = self.env
        public_url = self.base("CHECKOUT_PUBLIC_URL", "set the address shoppers reach this service at")
        database_url = self.database_url()
        secret_key = self.secret_key()
        data_keys = self.data_keys()
        proxies = env.number("CHECKOUT_TRUSTED_PROXIES", 0, largest=16, unit="a number of proxies", zero=True)
        if proxies != int(proxies):
            env.refuse("CHECKOUT_TRUSTED_PROXIES", "must be a whole number")
        metrics_token = env.text("CHECKOUT_METRICS_TOKEN")
        stable_mint, stables = self.stable_mint(), self.stables()
        timeout, lease = self.timeout_and_lease()
        speed = self.speed()
        if stable_mint is None:
            return None
        return Settings(
            mode=Mode.LIVE if self.live else Mode.SANDBOX,
            public_url=public_url,
            database_url=database_url,
            secret_key=secret_key,
            data_keys=data_keys,
            trusted_proxies=int(proxies),
            metrics_token=metrics_token,
            stable_mint=stable_mint,
            stables=stables,
            provider_timeout=timeout,
            lease=lease,
            speed=speed,
        )

    def base(self, name: str, fix: str | None = None, *, default: str = "") -> str:
        """The base of URLs, without trailing slash; required when there is a ``fix`` and no default."""
        if fix is not None and not self.env.required(name, fix):
            return default
        url = self.env.url(name)
        if url is None:
            return default
        if url.query or url.fragment:
            self.env.refuse(name, "must be a base without query or fragment")
        self.refuse_in_live(name, url)
        return url.origin + url.path.rstrip("/")

    def refuse_in_live(self, name: str, url: WebUrl) -> None:
        """Live speaks https, and to nobody on this machine."""
        if self.live and url.loopback:
            self.env.refuse(name, "live refuses the simulator and every other loopback address")
        elif self.live and url.scheme != "https":
            self.env.refuse(name, "live needs https")

    def database_url(self) -> str:
        value = self.env.text("CHECKOUT_DATABASE_URL") or "sqlite:///checkout.db"
        problem = database_problem(value)
        if problem:
            self.env.refuse("CHECKOUT_DATABASE_URL", problem)
        return value

    def secret_key(self) -> str:
        name, fix = "CHECKOUT_SECRET_KEY", "set 32 random characters (`checkout init` writes one)"
        value = self.env.required(name, fix)
        if self.live and 0 < len(value) < SECRET_KEY_CHARS_MIN:
            self.env.refuse(name, f"live needs at least {SECRET_KEY_CHARS_MIN} characters; {fix}")
        return value

    def data_keys(self) -> tuple[str, ...]:
        name = "CHECKOUT_DATA_KEY"
        self.env.required(name, "set a Fernet key (`checkout init` writes one)")
        return self.several(name, data_key_problem)

    def several(self, name: str, problem_of: Callable[[str], str | None]) -> tuple[str, ...]:
        """A comma list of secrets, each judged alone and named by its place."""
        entries = self.env.words(name)
        for position, entry in enumerate(entries, start=1):
            problem = problem_of(entry)
            if problem:
                self.env.refuse(name, f"entry {position} of {len(entries)}: {problem}")
        if not entries and self.env.text(name):
            self.env.refuse(name, "has commas and nothing between them")
        return tuple(entries)

    def stable_mint(self) -> StableMintSettings | None:
        env, dashboard = self.env, "copy it from Stable Mint's dashboard (Developer Hub)"
        domain = _STABLE_MINT_LIVE if self.live else _STABLE_MINT_SANDBOX
        api_url = self.base("STABLE_MINT_API_URL", default=f"https://paymentinitiationservice-rest.{domain}")
        self.refuse_other_mode("STABLE_MINT_API_URL", api_url, _STABLE_MINT_LIVE, _STABLE_MINT_SANDBOX)
        page_domains = self.page_domains(PageDomain(scheme="https", host=domain, port=None))
        api_key = env.header_value("STABLE_MINT_API_KEY", dashboard)
        api_secret = env.required("STABLE_MINT_API_SECRET", dashboard)
        private_key, webhook_keys = self.private_key(), self.webhook_keys()
        tolerance = env.seconds("STABLE_MINT_WEBHOOK_TOLERANCE", 4 * _HOUR, longest=7 * _DAY)
        flows = self.flows()
        v1_accepted_is = env.choice("STABLE_MINT_V1_ACCEPTED_IS", ("settled", "accepted"))
        partner_id, partner_name = env.text("STABLE_MINT_PARTNER_ID"), env.text("STABLE_MINT_PARTNER_NAME")
        widget_url, site_id = self.widget_url(), env.text("STABLE_MINT_SITE_ID")
        if private_key is None or webhook_keys is None:
            return None
        return StableMintSettings(
            api_url=api_url,
            page_domains=page_domains,
            api_key=api_key,
            api_secret=api_secret,
            private_key=private_key,
            webhook_keys=webhook_keys,
            webhook_tolerance=tolerance,
            flows=flows,
            partner_id=partner_id,
            partner_name=partner_name,
            v1_accepted_is=v1_accepted_is,
            widget_url=widget_url,
            site_id=site_id,
        )

    def refuse_other_mode(self, name: str, api_url: str, live_domain: str, sandbox_domain: str) -> None:
        """Real money in the sandbox, or play money in live, is the costliest typing error there is."""
        host = urlsplit(api_url).hostname or ""
        if self.live and host_within(host, sandbox_domain):
            self.env.refuse(name, "live refuses the provider's sandbox")
        if self.sandbox and host_within(host, live_domain) and not host_within(host, sandbox_domain):
            self.env.refuse(name, "the sandbox refuses the provider's live host; set CHECKOUT_MODE=live for it")

    def page_domains(self, default: PageDomain) -> tuple[PageDomain, ...]:
        name = "STABLE_MINT_PAGE_DOMAINS"
        entries = self.env.words(name)
        domains = [page_domain(entry, sandbox=self.sandbox) for entry in entries]
        for position, domain in enumerate(domains, start=1):
            if domain is None:
                reason = "must be a host or an https origin (in the sandbox http on a loopback origin)"
                self.env.refuse(name, f"entry {position} of {len(domains)}: {reason}")
        return tuple(domain for domain in domains if domain is not None) or (default,)

    def private_key(self) -> PartnerKey | None:
        name = "STABLE_MINT_PRIVATE_KEY"
        passphrase = self.env.text("STABLE_MINT_PRIVATE_KEY_PASSPHRASE")
        value = self.env.required(name, "`checkout keys generate` makes a pair")
        if not value:
            return None
        try:
            key = load_partner_key(value, passphrase)
        except KeyRefused as refused:
            where = " (STABLE_MINT_PRIVATE_KEY_PASSPHRASE)" if "passphrase" in str(refused) else ""
            self.env.refuse(name, f"{refused}{where}")
            return None
        if self.live and key.fingerprint in EXAMPLE_KEYS:
            self.env.refuse(name, _EXAMPLE_REFUSED)
        return key

    def webhook_keys(self) -> VerifyingKeys | None:
        name = "STABLE_MINT_WEBHOOK_PUBLIC_KEY"
        value = self.env.required(name, "ask Stable Mint for the public key of their webhooks")
        if not value:
            return None
        try:
            keys = load_verifying_keys(value)
        except KeyRefused as refused:
            self.env.refuse(name, str(refused))
            return None
        if self.live and not EXAMPLE_KEYS.isdisjoint(keys.fingerprints()):
            self.env.refuse(name, _EXAMPLE_REFUSED)
        return keys

    def flows(self) -> frozenset[str]:
        name = "STABLE_MINT_FLOWS"
        flows = frozenset(self.env.words(name))
        if not flows <= frozenset(FLOWS):
            self.env.refuse(name, f"must be a comma list of {', '.join(FLOWS)}")
        elif not flows and self.live:
            self.env.refuse(name, f"is missing; live needs what the account is onboarded for: {', '.join(FLOWS)}")
        return flows or frozenset(FLOWS)

    def widget_url(self) -> str | None:
        name = "STABLE_MINT_WIDGET_URL"
        url = self.env.url(name)
        if url is None:
            return None
        self.refuse_in_live(name, url)
        if url.scheme != "https" and not url.loopback:
            self.env.refuse(name, "must be https (plain http is for loopback in the sandbox)")
        return self.env.text(name)

    def stables(self) -> StablesSettings:
        env = self.env
        default = f"https://api.{_STABLES_LIVE if self.live else _STABLES_SANDBOX}"
        api_url = self.base("STABLES_API_URL", default=default)
        self.refuse_other_mode("STABLES_API_URL", api_url, _STABLES_LIVE, _STABLES_SANDBOX)
        api_key = env.header_value("STABLES_API_KEY", "copy it from Stables' dashboard")
        if self.live and api_key.startswith("sti_test_"):
            env.refuse("STABLES_API_KEY", "is a sandbox key (sti_test_); live needs the live one (sti_live_)")
        if self.sandbox and api_key.startswith("sti_live_"):
            env.refuse("STABLES_API_KEY", "is a live key (sti_live_); the sandbox needs the test one (sti_test_)")
        scheme = env.choice("STABLES_WEBHOOK_SCHEME", ("svix", "hmac"))
        env.required("STABLES_WEBHOOK_SECRET", "copy it from Stables (dashboard, or the subscription's own)")
        funding_window = env.seconds("STABLES_FUNDING_WINDOW", timedelta(0), longest=_DAY)
        return StablesSettings(
            api_url=api_url,
            api_key=api_key,
            webhook_scheme=scheme,
            webhook_secrets=self.several("STABLES_WEBHOOK_SECRET", partial(stables_secret_problem, scheme)),
            extras=env.choice("STABLES_EXTRAS", ("on", "off")) == "on",
            # Stables remembers a key for 24 h (CONFIRMED): one repeated later could pay twice.
            key_lifetime=env.seconds("STABLES_KEY_LIFETIME", 20 * _HOUR, longest=24 * _HOUR),
            funding_window=funding_window or None,
        )

    def timeout_and_lease(self) -> tuple[timedelta, timedelta]:
        name = "CHECKOUT_PROVIDER_TIMEOUT"
        timeout = self.env.seconds(name, timedelta(seconds=10), longest=timedelta(seconds=60))
        lease = self.env.seconds("CHECKOUT_LEASE", timedelta(seconds=120), longest=_HOUR)
        if timeout > lease / 2:
            self.env.refuse(name, "may not exceed half the lease; lower it, or raise CHECKOUT_LEASE")
        return timeout, lease

    def speed(self) -> float:
        name = "CHECKOUT_SPEED"
        speed = self.env.number(name, 1, largest=1_000_000, unit="a number of times faster")
        if self.live and speed != 1:
            self.env.refuse(name, "live runs on the real clock; remove it")
        return speed


def database_problem(url: str) -> str | None:
    """Why ``url`` cannot be the database, with the fix; None when its form is right. Never shows it."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "must be sqlite:///path or postgresql+psycopg://user:password@host/name"
    if scheme == "sqlite":
        path = rest.removeprefix("/")
        if not rest.startswith("/"):
            return "needs three slashes before a path: sqlite:///checkout.db (four for an absolute one)"
        if not path.strip("/") or ":memory:" in path or "mode=memory" in path:
            return "must be a file: every process needs to see the same database, and memory is not shared"
        if "?" in path or path.startswith("file:"):
            return "must be a plain path: the service sets SQLite's options itself"
        return None
    if scheme in ("postgres", "postgresql") or scheme.startswith("postgresql+"):
        if scheme != "postgresql+psycopg":
            return "write postgresql+psycopg:// (psycopg 3 is the driver this service uses)"
        return _postgresql_problem(rest)
    if scheme.startswith("sqlite+"):
        return "write sqlite:/// without a driver"
    return "only SQLite (sqlite:///path) and PostgreSQL (postgresql+psycopg://…) are known"


def _postgresql_problem(rest: str) -> str | None:
    try:
        parts = urlsplit(f"//{rest}")
        host = parts.hostname or parse_qs(parts.query).get("host")
        _ = parts.port  # raises when it is no port
    except ValueError:
        return "has a host or port that cannot be read; percent-encode special characters in the password"
    if not parts.path.strip("/"):
        return "names no database: postgresql+psycopg://user:password@host/name"
    if not host:
        return "names no host: postgresql+psycopg://user:password@host/name (or ?host=/socket/directory)"
    return None
