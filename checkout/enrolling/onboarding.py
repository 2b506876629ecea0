"""The merchant at Stables: a customer found or made, where it stands, and the link on which it proves who it is.

Who may be paid is Stables' decision, read from Stables each time: a return from the hosted page says nothing. Every call that
makes something has its key stored first; an answer that never came is settled by looking the customer up by its external id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from checkout.config import Mode
from checkout.context import Context
from checkout.enrolling.keyed_attempts import KeyedAttempts
from checkout.enrolling.merchant_form import ENTITLEMENT, MerchantForm, read_merchant
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.stables import Stables
from checkout.providers.stables_records import CustomerStanding, VerificationLink
from checkout.providers.stables_words import (
    ENTITLEMENT_STATUSES,
    ENTITLEMENTS,
    LEVEL_STATUSES,
    LEVELS,
    SUB_STATUSES,
    spelled,
    told,
    unknown_words,
    words_of,
)
from checkout.store import merchants, payouts, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act
from checkout.store.records import AttemptRow, MerchantRow

#: CONFIRMED (OpenAPI): what a link lives when nothing else is asked.
LINK_LIFE: Final = timedelta(minutes=30)
#: The first one lives longer: whether Stables gives a second is UNKNOWN (its OpenAPI has a 409 for it).
FIRST_LINK_LIFE: Final = timedelta(days=1)
LINK_LIFE_MAX: Final = timedelta(days=7)
#: Where a verified person comes back to. A hint, never proof.
RETURNED: Final = "/verification/returned"
#: CONFIRMED (docs, sandbox and production pages).
KEY_PREFIXES: Final = MappingProxyType({Mode.SANDBOX: "sti_test_", Mode.LIVE: "sti_live_"})
_CUSTOMER, _LINK, _ENTITLEMENT = "customer", "link", "entitlement"
_MEANT: Final = "an answer never came: nobody knows whether Stables did it. Run the same command again to find out"


class Onboarding:
    """The operator's verbs on the merchant's own standing at Stables."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables
        self._attempts = KeyedAttempts(context)

    # --- setup -----------------------------------------------------------------------------------------------------

    def setup(self, content: object | None, *, external_id: str | None, who: str) -> dict[str, Any]:
        """Find the customer with this external id (default: the installation's), or make it; then tell where it stands.

        Running it again changes nothing that is there. ``content``: who the merchant is; only needed when it is made.
        """
        context = self._context
        external = self._external_id(external_id)
        form = None if content is None else read_merchant(content, today=context.clock().date())
        with context.database.read() as unit:
            row = merchants.find_merchant(unit, external)
        known = row is not None and row.stables_customer_id is not None
        made, link = False, None
        if row is None or row.stables_customer_id is None:
            row, made, link = self._find_or_make(row, external, form, who)
        standing = self._standing(row)
        if not any(one.name == ENTITLEMENT for one in standing.entitlements):
            standing = self._ask_for_payouts(row, who)
        shown = self._shown(row, standing)
        return {
            **shown, "outcome": "known" if known else "made" if made else "found", "verification_link": link,
            "warnings": [*self._warnings(form, standing, known=not made), *self.key_warnings()],
        }  # fmt: skip

    def _external_id(self, given: str | None) -> str:
        if given is not None:
            if not 1 <= len(given) <= 120 or not given.isprintable() or given != given.strip():
                raise RequestRefused({"external_id": "use 1 to 120 printable characters"})
            return given
        with self._context.database.read() as unit:
            installation = stores.installation_row(unit)
        if installation is None:
            raise NotPossible("this installation has no name yet; run `checkout migrate`")
        return str(installation["id"])

    def _find_or_make(
        self, row: MerchantRow | None, external: str, form: MerchantForm | None, who: str
    ) -> tuple[MerchantRow, bool, str | None]:
        """The merchant with its Stables id; whether it was made now; its link, when an answer brought one."""
        doubt: NotPossible | None = None
        if row is not None and self._says_the_same(row, form):  # the same key brings the same answer, link and all
            try:
                again = self._repeat(row, who)
            except NotPossible as unanswered:
                doubt, again = unanswered, None
            if again is not None:
                return again[0], True, again[1]
        found = self._look_up(external)
        if found is not None:
            return self._adopt(row, external, found, who), False, None
        if doubt is not None:
            raise doubt
        if form is None and (row is None or row.request_sealed is None):
            raise RequestRefused({"file": "Stables has no customer of this external id; say who it is with --file"})
        row = self._remember(row, external, form, who)
        customer, link = self._make(row, who)
        if customer is None:  # taken meanwhile: somebody made it between our look and our call
            found = self._look_up(external)
            if found is None:
                raise NotPossible(f"Stables says that {external} is taken and does not list it; ask Stables")
            return self._adopt(row, external, found, who), False, None
        return customer, True, link

    def _look_up(self, external: str) -> CustomerStanding | None:
        listed = told(self._stables.list_customers())
        return next((one for one in listed if one.external_id == external), None)

    def _adopt(self, row: MerchantRow | None, external: str, found: CustomerStanding, who: str) -> MerchantRow:
        """Store that the customer of this external id is ours."""
        context = self._context
        now = context.clock()
        try:
            with context.database.write() as unit:
                if row is None:
                    ident = context.new_id("mer")
                    values = {
                        "id": ident, "external_customer_id": external, "customer_type": found.type, "created_at": now,
                        "created_by": who, "stables_customer_id": found.id,
                    }  # fmt: skip
                    merchants.insert_merchant(unit, values)
                else:
                    ident = row.id
                    merchants.update_merchant(unit, ident, stables_customer_id=found.id)
                    self._attempts.found(unit, ident, _CUSTOMER, by="external_customer_id")
                self._act(unit, ident, "merchant found at Stables", {"customer": found.id}, who)
                return _there(unit, ident)
        except Taken:
            raise NotPossible("this customer is known here under another external id, or somebody was faster") from None

    def _remember(self, row: MerchantRow | None, external: str, form: MerchantForm | None, who: str) -> MerchantRow:
        """Keep what Stables will be told, sealed, so that a repetition says the same."""
        context = self._context
        if form is None and row is not None:
            return row
        details = {} if form is None else dict(form.details)
        values: dict[str, Any] = {
            "customer_type": details["customer_type"], "request_sealed": context.sealer.seal_text(json.dumps(details)),
        }  # fmt: skip
        with context.database.write() as unit:
            if row is not None:
                merchants.update_merchant(unit, row.id, **values)
                return _there(unit, row.id)
            ident = context.new_id("mer")
            values |= {
                "id": ident, "external_customer_id": external, "created_at": context.clock(), "created_by": who,
            }  # fmt: skip
            try:
                merchants.insert_merchant(unit, values)
            except Taken:
                raise NotPossible(f"somebody else is setting up {external} just now; run it again") from None
            return _there(unit, ident)

    def _request(self, row: MerchantRow, life: timedelta = FIRST_LINK_LIFE) -> dict[str, Any]:
        """The body of the verification-link operation: the one documented way to a customer whose documents are hosted."""
        details = {} if row.request_sealed is None else json.loads(self._context.sealer.open_text(row.request_sealed))
        back = self._context.settings.public_url + RETURNED
        return {
            "customer_type": row.customer_type, **details, "external_customer_id": row.external_customer_id,
            "entitlements": [ENTITLEMENT], "ttl_in_secs": int(life.total_seconds()),
            "redirect": {"success_url": back, "reject_url": back},
        }  # fmt: skip

    def _says_the_same(self, row: MerchantRow, form: MerchantForm | None) -> bool:
        if form is None or row.request_sealed is None:
            return form is None
        return bool(json.loads(self._context.sealer.open_text(row.request_sealed)) == dict(form.details))

    def _repeat(self, row: MerchantRow, who: str) -> tuple[MerchantRow, str | None] | None:
        """Send an open attempt again under its key; None when there is none, or its external id is taken."""
        body = self._request(row)
        with self._context.database.read() as unit:
            open_one = self._attempts.repeatable(unit, row.id, _CUSTOMER, body, self._context.clock())
        if open_one is None:
            return None
        customer, link = self._make(row, who)
        return None if customer is None else (customer, link)

    def _make(self, row: MerchantRow, who: str) -> tuple[MerchantRow | None, str | None]:
        """Create the customer by its verification link; (None, None) when its external id is taken."""
        outcome, made = self._send_link(row, _CUSTOMER, self._request(row))
        now = self._context.clock()
        with self._context.database.write() as unit:
            self._attempts.end(unit, made, outcome)
            if isinstance(outcome, Accepted):
                merchants.update_merchant(unit, row.id, stables_customer_id=outcome.value.customer_id)
                detail = {"customer": outcome.value.customer_id, "at": now.isoformat()}
                self._act(unit, row.id, "merchant made at Stables", detail, who)
                return _there(unit, row.id), outcome.value.url
        if isinstance(outcome, Declined) and outcome.status == 409:
            return None, None
        raise NotPossible(_refusal(outcome))

    def _send_link(
        self, row: MerchantRow, kind: str, body: Mapping[str, Any]
    ) -> tuple[Outcome[VerificationLink], AttemptRow]:
        """Commit the attempt, then send it."""
        with self._context.database.write() as unit:
            made = self._attempts.begin(unit, row.id, kind, body, self._context.clock())
        return self._stables.verification_link(body, key=made.key), made

    def _ask_for_payouts(self, row: MerchantRow, who: str) -> CustomerStanding:
        """Ask for the entitlement that a customer made elsewhere does not have."""
        details = {} if row.request_sealed is None else json.loads(self._context.sealer.open_text(row.request_sealed))
        details.pop("customer_type", None)
        body = {**details, "entitlements": [ENTITLEMENT]}
        with self._context.database.write() as unit:
            made = self._attempts.begin(unit, row.id, _ENTITLEMENT, body, self._context.clock())
        outcome = self._stables.update_customer(str(row.stables_customer_id), body)
        with self._context.database.write() as unit:
            self._attempts.end(unit, made, outcome)
            self._act(unit, row.id, "payouts asked for at Stables", {"customer": row.stables_customer_id}, who)
        told(outcome)
        return self._standing(row)

    # --- status ----------------------------------------------------------------------------------------------------

    def status(self, which: str | None) -> dict[str, Any]:
        """Where the merchant (or every one known here) stands, read now; and whether the key fits the mode."""
        with self._context.database.read() as unit:
            known = merchants.list_merchants(unit)
            chosen = known if which is None else [merchants.find_merchant(unit, which)]
        rows = [one for one in chosen if one is not None]
        if which is not None and not rows:
            raise NotFound("merchant", which)
        shown = []
        for row in rows:
            if row.stables_customer_id is None:
                shown.append(self._unmade(row))
            else:
                shown.append(self._shown(row, self._standing(row)))
        return {
            "mode": self._context.settings.mode.value, "warnings": self.key_warnings(), "merchants": shown,
            "next": [] if rows else ["checkout stables setup --file FILE"],
        }  # fmt: skip

    def key_warnings(self) -> list[str]:
        """What is odd about the API key, by its prefix alone. The wrong mode's prefix does not get this far: no settings."""
        settings = self._context.settings
        prefix = KEY_PREFIXES[settings.mode]
        if settings.stables.api_key.startswith(prefix):
            return []
        return [f"STABLES_API_KEY does not begin with {prefix}, as every {settings.mode.value} key of Stables does"]

    def _standing(self, row: MerchantRow) -> CustomerStanding:
        """Read the customer, and keep what counts for payouts."""
        standing = told(self._stables.read_customer(str(row.stables_customer_id)))
        state = "approved" if standing.base_payout_approved else "refused"
        with self._context.database.write() as unit:
            payouts.keep_standing(unit, standing.id, base_payout=state, name=standing.name, at=self._context.clock())
        return standing

    def _unmade(self, row: MerchantRow) -> dict[str, Any]:
        return {
            "id": row.id, "external_customer_id": row.external_customer_id, "stables_customer_id": None,
            "type": row.customer_type, "name": None, "payouts": False, "levels": [], "entitlements": [],
            "next": [_MEANT + ": checkout stables setup"],
        }  # fmt: skip

    def _shown(self, row: MerchantRow, standing: CustomerStanding) -> dict[str, Any]:
        """The standing in plain words, with what to do next."""
        levels = [
            {
                "level": one.level, "is": spelled(LEVELS, one.level), "status": one.status,
                "means": spelled(LEVEL_STATUSES, one.status),
                "reasons": [{"code": code, "means": spelled(SUB_STATUSES, code)} for code in one.sub_statuses],
            }
            for one in standing.levels
        ]  # fmt: skip
        entitlements = [
            {
                "name": one.name, "is": spelled(ENTITLEMENTS, one.name), "status": one.status,
                "means": spelled(ENTITLEMENT_STATUSES, one.status),
            }
            for one in standing.entitlements
        ]  # fmt: skip
        return {
            "id": row.id, "external_customer_id": row.external_customer_id, "stables_customer_id": standing.id,
            "type": standing.type, "name": standing.name, "payouts": standing.base_payout_approved, "levels": levels,
            "entitlements": entitlements, "next": _next(row, standing),
        }  # fmt: skip

    def _warnings(self, form: MerchantForm | None, standing: CustomerStanding, *, known: bool) -> list[str]:
        if form is None:
            return []
        warnings = list(form.warnings)
        if known:
            warnings.append("the customer was there already: it was not changed to what the file says")
        if standing.type != form.customer_type:
            warnings.append(
                f"Stables has it as {standing.type or 'something else'}, the file says {form.customer_type}"
            )
        return warnings

    # --- the link --------------------------------------------------------------------------------------------------

    def link(self, which: str | None, *, life: timedelta, who: str) -> dict[str, Any]:
        """A fresh verification link, shown once and not kept: whoever has it can act as the customer."""
        if not timedelta(minutes=1) <= life <= LINK_LIFE_MAX:
            raise RequestRefused({"minutes": f"from 1 to {int(LINK_LIFE_MAX / timedelta(minutes=1))}"})
        row = self._only(which)
        now = self._context.clock()
        outcome, made = self._send_link(row, _LINK, self._request(row, life))
        with self._context.database.write() as unit:
            self._attempts.end(unit, made, outcome)
            if isinstance(outcome, Accepted):
                self._act(unit, row.id, "verification link made", {"until": (now + life).isoformat()}, who)
        match outcome:
            case Accepted(value=link) if link.customer_id.lower() != str(row.stables_customer_id).lower():
                raise NotPossible(
                    f"Stables answered with a link for another customer ({link.customer_id}); it is not shown. Ask Stables"
                )
            case Accepted(value=link):
                return {
                    "stables_customer_id": link.customer_id, "verification_link": link.url, "valid_until": now + life,
                    "proves": "nothing here: see `checkout stables status` afterwards",
                }  # fmt: skip
            case Declined(status=409):
                raise NotPossible(
                    "Stables has this customer and gives no second link by this way; make one in its dashboard, under "
                    f"Customers [{words_of(outcome)}]"
                )
            case _:
                raise NotPossible(_refusal(outcome))

    def _only(self, which: str | None) -> MerchantRow:
        """The merchant meant; without a name the only one there is."""
        with self._context.database.read() as unit:
            known = merchants.list_merchants(unit)
            named = None if which is None else merchants.find_merchant(unit, which)
        if which is not None:
            row = named
        elif len(known) > 1:
            raise NotPossible("several merchants are known: name one; `checkout stables status` lists them")
        else:
            row = known[0] if known else None
        if row is None or row.stables_customer_id is None:
            raise NotFound("merchant at Stables", which or "of this installation")
        return row

    def _act(self, unit: Unit, subject: str, action: str, detail: Mapping[str, Any], who: str) -> None:
        context = self._context
        record_act(
            unit, context.new_id("act"), who=who, action=action, subject=subject, detail=detail, at=context.clock()
        )


def _there(unit: Unit, ident: str) -> MerchantRow:
    row = merchants.find_merchant(unit, ident)
    if row is None:  # pragma: no cover - it was stored in this transaction
        raise NotFound("merchant", ident)
    return row


def _refusal(outcome: Outcome[Any]) -> str:
    match outcome:
        case Declined():
            return words_of(outcome)
        case Unknown():
            return f"{_MEANT} [{unknown_words(outcome)}]"
        case _:  # pragma: no cover - what was accepted is used, not refused
            return "Stables' answer does not fit the question"


def _next(row: MerchantRow, standing: CustomerStanding) -> list[str]:
    """What the operator can do now; nothing to do is an empty list."""
    if standing.base_payout_approved:
        return []
    statuses = {one.status for one in standing.levels}
    steps = []
    if not statuses or "requires_action" in statuses or "in_progress" in statuses:
        steps.append(f"open the verification link: checkout stables link {row.external_customer_id}")
    if "in_progress" in statuses:
        steps.append("or wait for Stables: checkout stables status")
    if "rejected" in statuses or any(one.status == "rejected" for one in standing.entitlements):
        steps.append("ask Stables why it refused; nothing here can change it")
    if "approved" in statuses and not any(one.name == ENTITLEMENT for one in standing.entitlements):
        steps.append("ask for payouts: checkout stables setup")
    return steps or ["ask Stables: it is verified, and payouts are not granted yet"]
