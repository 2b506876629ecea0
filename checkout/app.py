"""The composition root: the only place that knows every part. Build it after a fork, once per process."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from checkout import identifiers
from checkout.api_keys import ApiKeys
from checkout.config import Mode, Settings
from checkout.context import Context
from checkout.enrolling.onboarding import Onboarding
from checkout.enrolling.payout_accounts import PayoutAccounts
from checkout.enrolling.standings import Standings
from checkout.enrolling.subscriptions import Subscriptions
from checkout.events import Events
from checkout.evidence_import import EvidenceImport
from checkout.explaining.evidence_bundle import EvidenceBundle
from checkout.explaining.reconciling import Reconciling
from checkout.explaining.report import Report
from checkout.explaining.statements import Statements
from checkout.inbox import Inbox
from checkout.late_news import LateNews
from checkout.paying.clockwork import Clockwork
from checkout.paying.customers import Customers
from checkout.paying.links import Links
from checkout.paying.looks import Looks
from checkout.paying.payments import Payments
from checkout.paying.sessions import ProviderGate, Sessions
from checkout.paying.shopper import Shopper
from checkout.paying_out.offramp import Offramp
from checkout.paying_out.payouts import Payouts
from checkout.paying_out.policies import Policies
from checkout.paying_out.price_guard import PriceGuard
from checkout.paying_out.resolutions import Resolutions
from checkout.paying_out.transfers import Following
from checkout.people import People
from checkout.providers.stable_mint import StableMint
from checkout.providers.stables import Stables
from checkout.providers.storefront import Storefront
from checkout.providers.storefront import client as storefront_client
from checkout.providers.transport import Wire, build_client
from checkout.refunding.refund_resolving import RefundResolving
from checkout.refunding.refund_sending import RefundSending
from checkout.refunding.refunds import Refunds
from checkout.restoring import Restoring
from checkout.rules.payouts import PayoutState
from checkout.sealing import Sealer
from checkout.store import payouts as payout_rows
from checkout.store.engine import Database
from checkout.stores import Stores
from checkout.telling.endpoints import Endpoints
from checkout.telling.notifications import Notifications
from checkout.telling.resending import Resending
from checkout.treasury import Treasury
from checkout.worker import Worker

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"

#: Threads of one web process; at most half of them may be inside provider calls.
THREADS = 8


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case, built once from the settings."""

    context: Context
    stores: Stores
    api_keys: ApiKeys
    looks: Looks
    people: People
    payments: Payments
    sessions: Sessions
    customers: Customers
    links: Links
    shopper: Shopper
    inbox: Inbox
    events: Events
    treasury: Treasury
    payout_accounts: PayoutAccounts
    onboarding: Onboarding
    subscriptions: Subscriptions
    standings: Standings
    payouts: Payouts
    policies: Policies
    price_guard: PriceGuard
    resolutions: Resolutions
    refunds: Refunds
    refund_resolving: RefundResolving
    refund_sending: RefundSending
    offramp: Offramp
    following: Following
    notifications: Notifications
    endpoints: Endpoints
    resending: Resending
    clockwork: Clockwork
    report: Report
    statements: Statements
    reconciling: Reconciling
    evidence_import: EvidenceImport
    evidence_bundle: EvidenceBundle
    restoring: Restoring
    late_news: LateNews
    stables: Stables
    closers: tuple[Callable[[], None], ...]

    @property
    def settings(self) -> Settings:
        return self.context.settings

    def close(self) -> None:
        """End every connection this process holds."""
        for close in self.closers:
            close()

    def follow_payout(self, ident: str, token: str) -> None:
        """The worker's step for a payout: before its transfer, or after."""
        with self.context.database.read() as unit:
            row = payout_rows.payout_by_id(unit, ident)
        if row is None:
            return
        if row.payout_state is PayoutState.APPROVED and not self.restoring.may_move(row, token):
            return
        early = (PayoutState.PROPOSED, PayoutState.QUOTED, PayoutState.APPROVED)
        if row.payout_state in early:
            self.offramp.step(row, token)
        elif self.following.step(row, token) is PayoutState.COMPLETED:
            self.statements.look(ident)

    def worker(self, name: str) -> Worker:
        """A worker over all kinds of work."""
        return Worker(
            self.context,
            name=name,
            events=self.events,
            open_session=self.sessions.step,
            follow_payout=self.follow_payout,
            run_policy=self.policies.step,
            send_refund=self.refund_sending.step,
            read_customer=self.standings.step,
            deliver=self.notifications.step,
            look_at_payment=self.clockwork.step,
        )


def build(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = system_clock,
    stable_mint_transport: httpx.BaseTransport | None = None,
    stables_transport: httpx.BaseTransport | None = None,
    storefront_transport: httpx.BaseTransport | None = None,
) -> Services:
    """Wire everything together; transports replace the network in tests."""
    sandbox = settings.mode is Mode.SANDBOX
    context = Context(
        settings=settings,
        database=Database(settings.database_url),
        sealer=Sealer(settings.data_keys),
        clock=clock,
        new_id=identifiers.maker(clock),
        new_uuid=lambda: str(uuid.uuid4()),
        jitter=random.random,
    )
    timeout = settings.provider_timeout
    mint_settings, stables_settings = settings.stable_mint, settings.stables
    mint_http = build_client(mint_settings.api_url, timeout=timeout, transport=stable_mint_transport)
    stables_http = build_client(stables_settings.api_url, timeout=timeout, transport=stables_transport)
    shop_http = storefront_client(sandbox=sandbox, transport=storefront_transport)
    stable_mint = StableMint(
        Wire(mint_http, timeout=timeout),
        api_key=mint_settings.api_key,
        api_secret=mint_settings.api_secret,
        private_key=mint_settings.private_key,
        page_domains=mint_settings.page_domains,
        flows=mint_settings.flows,
        sandbox=sandbox,
        clock=clock,
    )
    stables = Stables(
        Wire(stables_http, timeout=timeout),
        api_key=stables_settings.api_key,
        extras=stables_settings.extras,
        sandbox=sandbox,
        clock=clock,
    )
    sender = Storefront(shop_http, sandbox=sandbox)
    sessions = Sessions(context, stable_mint)
    payments = Payments(context, sessions, ProviderGate(THREADS // 2))
    refunds = Refunds(context)
    return Services(
        context=context,
        stores=Stores(context),
        api_keys=ApiKeys(context),
        looks=Looks(context),
        people=People(context),
        payments=payments,
        sessions=sessions,
        customers=Customers(context),
        links=Links(context, payments),
        shopper=Shopper(context, payments),
        inbox=Inbox(context),
        events=Events(context),
        treasury=Treasury(context),
        payout_accounts=PayoutAccounts(context, stables),
        onboarding=Onboarding(context, stables),
        subscriptions=Subscriptions(context, stables),
        standings=Standings(context, stables),
        payouts=Payouts(context, stables),
        policies=Policies(context),
        price_guard=PriceGuard(context, stables),
        resolutions=Resolutions(context, stables),
        refunds=refunds,
        refund_resolving=RefundResolving(context, refunds),
        refund_sending=RefundSending(context, stable_mint, refunds),
        offramp=Offramp(context, stables),
        following=Following(context, stables),
        notifications=Notifications(context, sender),
        endpoints=Endpoints(context),
        resending=Resending(context),
        clockwork=Clockwork(context),
        report=Report(context),
        statements=Statements(context),
        reconciling=Reconciling(context),
        evidence_import=EvidenceImport(context),
        evidence_bundle=EvidenceBundle(context, Report(context)),
        restoring=Restoring(context, stables),
        late_news=LateNews(context),
        stables=stables,
        closers=(mint_http.close, stables_http.close, shop_http.close, context.database.close),
    )


def create_app(services: Services) -> Flask:
    """The Flask application over built services. Refuses to start without its templates."""
    from checkout.web import register

    if not TEMPLATES.is_dir():
        raise FileNotFoundError(f"the page templates are missing: {TEMPLATES}")
    app = Flask("checkout", template_folder=str(TEMPLATES), static_folder=None)
    app.secret_key = services.settings.secret_key
    app.extensions["checkout"] = services
    proxies = services.settings.trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]  # Flask's documented way
    register(app)
    return app
