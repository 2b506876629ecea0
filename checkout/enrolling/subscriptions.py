"""Where Stables sends its webhooks: whether an endpoint of ours is subscribed, and what became of what was sent.

Two systems exist and only one is configured (STABLES_WEBHOOK_SCHEME): the dashboard's (svix), which the API cannot see, and
API-managed subscriptions (hmac). A subscription of the other system would only bring deliveries that are refused here.
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from checkout.context import Context
from checkout.enrolling.keyed_attempts import KeyedAttempts
from checkout.errors import NotPossible
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.providers.stables import Stables
from checkout.providers.stables_records import WebhookDelivery, WebhookSubscription
from checkout.providers.stables_words import DELIVERY_STATUSES, spelled, told, unknown_words, words_of
from checkout.store import stores
from checkout.store.moves import record_act

ENDPOINT: Final = "/webhooks/stables"
NAME: Final = "checkout"
#: Everything: travel rule and information requests have no name of their own in the documented list.
EVENTS: Final = ("all",)
#: What payouts cannot do without.
NEEDED: Final = frozenset(
    {"transfer.created", "transfer.updated.status_transitioned", "kyc_link.updated.status_transitioned"}
)
DELIVERIES_MAX: Final = 50
_KIND: Final = "webhook"


class Subscriptions:
    """The operator's verbs on Stables' webhooks."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables
        self._attempts = KeyedAttempts(context)

    @property
    def endpoint(self) -> str:
        return self._context.settings.public_url + ENDPOINT

    def look(self, *, deliveries: int) -> dict[str, Any]:
        """Whether what is subscribed fits what is configured here, and the newest deliveries."""
        listed = told(self._stables.list_webhooks())
        ours = [one for one in listed if one.url.rstrip("/") == self.endpoint]
        managed = self._context.settings.stables.webhook_scheme == "svix"
        log, note = self._deliveries(ours, deliveries)
        return {
            "endpoint": self.endpoint, "scheme": self._context.settings.stables.webhook_scheme,
            "managed_by": "dashboard" if managed else "api",
            "subscriptions": [_shown(one, ours=one in ours) for one in listed],
            "problems": self._problems(ours, managed=managed), "deliveries": [_sent(one) for one in log],
            "deliveries_note": note,
        }  # fmt: skip

    def subscribe(self, *, who: str) -> dict[str, Any]:
        """Subscribe our endpoint to everything, unless it is; the subscription. NotPossible with the dashboard's scheme."""
        context = self._context
        settings = context.settings.stables
        if settings.webhook_scheme != "hmac":
            raise NotPossible(
                f"webhooks are configured as the dashboard's (svix): add {self.endpoint} in Stables' dashboard, Settings, "
                "Webhooks, and put its whsec_ secret into STABLES_WEBHOOK_SECRET. Subscriptions by the API need "
                "STABLES_WEBHOOK_SCHEME=hmac"
            )
        there = self._good()
        if there is not None:
            return {**_shown(there, ours=True), "outcome": "known"}
        # the secret is left out of what the attempt remembers; a changed one makes a new subscription necessary anyway
        body = {"name": NAME, "url": self.endpoint, "eventTypes": list(EVENTS)}
        now = context.clock()
        with context.database.write() as unit:
            installation = stores.installation_row(unit)
            if installation is None:
                raise NotPossible("this installation has no name yet; run `checkout migrate`")
            subject = str(installation["id"])
            made = self._attempts.begin(unit, subject, _KIND, body, now)
        outcome = self._stables.create_webhook(
            name=NAME, url=self.endpoint, event_types=EVENTS, secret=settings.webhook_secrets[0], key=made.key,
            metadata={"installation": subject},
        )  # fmt: skip
        with context.database.write() as unit:
            self._attempts.end(unit, made, outcome)
            if isinstance(outcome, Accepted):
                record_act(
                    unit, context.new_id("act"), who=who, action="webhooks subscribed", subject=subject, at=now,
                    detail={"subscription": outcome.value.id, "url": self.endpoint},
                )  # fmt: skip
        if isinstance(outcome, Unknown):
            there = self._good()  # the answer was lost, perhaps the subscription was not
            if there is not None:
                with context.database.write() as unit:
                    self._attempts.found(unit, subject, _KIND, by="url")
                return {**_shown(there, ours=True), "outcome": "found"}
        return {**_shown(told(outcome), ours=True), "outcome": "made"}

    def _good(self) -> WebhookSubscription | None:
        """An active subscription of ours that brings what is needed."""
        listed = told(self._stables.list_webhooks())
        for one in listed:
            if one.url.rstrip("/") == self.endpoint and one.active and not _lacks(one):
                return one
        return None

    def _problems(self, ours: list[WebhookSubscription], *, managed: bool) -> list[str]:
        active = [one for one in ours if one.active]
        if managed:
            if not active:
                return []
            return [
                "an API-managed subscription points here, and its deliveries are refused: this service is configured for the "
                "dashboard's (STABLES_WEBHOOK_SCHEME=svix)"
            ]
        problems = []
        if not active:
            problems.append("no active subscription points here: checkout stables webhooks --subscribe")
        if len(active) > 1:
            problems.append("several point here: every event comes as often, and is counted once")
        for one in active:
            if missing := _lacks(one):
                problems.append(f"subscription {one.id} does not bring {', '.join(missing)}")
        if not self.endpoint.startswith("https://"):
            problems.append(
                "the endpoint is plain http: Stables asks for https, and its sandbox may send nothing there"
            )
        return problems

    def _deliveries(self, ours: list[WebhookSubscription], newest: int) -> tuple[list[WebhookDelivery], str | None]:
        """The newest deliveries of our subscriptions (of the account when there is none); or why they cannot be seen."""
        if newest == 0:
            return [], None
        if not self._context.settings.stables.extras:
            return [], "the delivery log is outside the published OpenAPI: set STABLES_EXTRAS=on to see it"
        found: list[WebhookDelivery] = []
        places: list[str | None] = [*(one.id for one in ours)] or [None]
        for subscription in places:
            outcome = self._stables.newest_deliveries(subscription, newest=newest)
            if isinstance(outcome, Declined) and outcome.status == 404 and subscription is not None:
                outcome = self._stables.newest_deliveries(None, newest=newest)  # the other documented place
            match outcome:
                case Accepted(value=log):
                    found += log
                case Declined():
                    return [], f"the delivery log cannot be seen: {words_of(outcome)}"
                case Unknown():
                    return [], f"the delivery log cannot be seen: {unknown_words(outcome)}"
                case _:
                    assert_never(outcome)
        return found[:newest], None


def _lacks(one: WebhookSubscription) -> list[str]:
    return [] if "all" in one.event_types else sorted(NEEDED - set(one.event_types))


def _shown(one: WebhookSubscription, *, ours: bool) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "url": one.url, "events": list(one.event_types), "active": one.active, "ours": ours,
        "created_at": one.created_at,
    }  # fmt: skip


def _sent(one: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": one.id, "status": one.status, "means": spelled(DELIVERY_STATUSES, one.status), "attempts": one.attempts,
        "answered": one.response_code, "next_try_at": one.next_try_at, "created_at": one.created_at, "event": one.event_type,
    }  # fmt: skip
