"""Withdrawals: money that Stable Mint pays out when it is asked to, as often as it is asked to.

Fields are CONFIRMED (withdrawal page, two generations), the answer INFERRED, deduplication and failures UNKNOWN: each of those
is a switch. The events' names are CONFIRMED, their fields INFERRED to be those of a deposit's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

from checkout.simulator.control import guard, json_object
from checkout.simulator.stable_mint.checks import Refusal, check_body, check_caller
from checkout.simulator.stable_mint.events import Step, spell
from checkout.simulator.stable_mint.jsontext import write
from checkout.simulator.switches import SwitchRefused

if TYPE_CHECKING:
    from checkout.simulator.stable_mint.state import StableMintState

#: Each call's path. CONFIRMED.
PATHS: Final = {
    "withdrawal": "/withdrawal/partner-managed-customer",
    "withdrawal_hosted": "/withdrawal/hosted",
}
PREFIX: Final = "partner.customer.withdrawal."
#: What happens and when (nominal seconds from the request), by the switch ``withdrawal_end``.
_STORIES: Final[Mapping[str, tuple[tuple[float, str], ...]]] = MappingProxyType(
    {
        "sent": ((0, "requested"), (10, "accepted"), (60, "sent")),
        "failed": ((0, "requested"), (10, "failed")),
        "failed_after_accepted": ((0, "requested"), (10, "accepted"), (60, "failed")),
        "failed_after_sent": ((0, "requested"), (10, "accepted"), (60, "sent"), (120, "failed")),
        "silent": (),
    }
)
#: What the events leave out, by the position of ``withdrawal_events``.
_LEFT_OUT: Final = MappingProxyType(
    {
        "everything": (),
        "reference": ("idempotencyKey", "websiteReference", "amount", "currency", "customFields"),
        "identifiers": ("reference",),
    }
)


@dataclass(slots=True)
class Withdrawal:
    """One payment to a beneficiary. Two for one request are two payments."""

    number: int
    call: str
    asked: Mapping[str, Any]
    at: datetime
    reference: str = field(default_factory=lambda: f"wd_{secrets.token_hex(6)}")
    ident: str = field(default_factory=lambda: str(uuid4()))
    told: list[str] = field(default_factory=list)

    def report(self) -> dict[str, object]:
        """Everything but the beneficiary."""
        return {
            "reference": self.reference,
            "call": self.call,
            "amount": str(Decimal(self.asked["amount"])),
            "currency": self.asked["currency"],
            "reason": self.asked["withdrawalReason"],
            "idempotency_key": self.asked.get("idempotencyKey"),
            "website_reference": self.asked.get("websiteReference"),
            "custom_fields": self.asked.get("customFields", {}),
            "at": self.at.isoformat(),
            "events": list(self.told),
        }


class Withdrawals:
    """Every withdrawal that was carried out, under the state's lock."""

    def __init__(self, state: StableMintState) -> None:
        self._state = state
        self._made: list[Withdrawal] = []
        self._faults: tuple[object, int] = (None, 0)

    def all(self) -> list[Withdrawal]:
        with self._state.lock:
            return list(self._made)

    def clear(self) -> None:
        with self._state.lock:
            self._made.clear()
            self._faults = (None, 0)

    def ask(self, call: str, asked: Mapping[str, Any], now: datetime) -> tuple[Withdrawal, str]:
        """Carry one out and plan its events; (it, how its answer is spoilt). Raises :class:`Refusal`.

        Whether a second request with the same key is another withdrawal is UNKNOWN; by default it is.
        """
        with self._state.lock:
            switches = self._state.switches.now
            fault = self._fault()
            _refuse_before_work(fault)
            key = asked.get("idempotencyKey")
            if key is not None and switches.withdrawal_replay != "again":
                known = next((one for one in self._made if one.asked.get("idempotencyKey") == key), None)
                if known is not None and switches.withdrawal_replay == "error":
                    raise Refusal(409, "DuplicateRequest", "A withdrawal with this key exists already.")
                if known is not None:
                    return known, fault
            made = Withdrawal(len(self._made) + 1, call, asked, now)
            self._made.append(made)
        self._announce(made)
        return made, fault

    def _fault(self) -> str:
        switches = self._state.switches.now
        since, count = self._faults
        count = count + 1 if since is switches else 1
        self._faults = (switches, count)
        times = switches.withdrawal_outcome_times
        return "ok" if times is not None and count > times else switches.withdrawal_outcome

    def _announce(self, made: Withdrawal) -> None:
        switches = self._state.switches.now
        # Repeatable by design: the same seed tells the same story.
        chance = Random(f"{switches.seed}/withdrawal/{made.number}")  # noqa: S311
        plan = _STORIES[switches.withdrawal_end]
        words = [word for _, word in plan]
        if switches.webhook_order == "reversed":
            words.reverse()
        elif switches.webhook_order == "shuffled":
            chance.shuffle(words)
        for word, (at_s, _) in zip(words, plan, strict=True):
            told_in = switches.webhook_version
            version = chance.choice(("v1", "v2")) if told_in == "mixed" else told_in
            self.tell(made, word, version=version, after_s=at_s + switches.webhook_delay_s)

    def tell(
        self, made: Withdrawal, word: str, *, version: str, after_s: float = 0,
        fields: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[int]:  # fmt: skip
        """Send one event of a withdrawal; answers the deliveries' ids."""
        at = self._state.surroundings.clock.later(after_s)
        step = Step(after_s, version, PREFIX + word)
        made.told.append(word)
        document = self._document(made, step, at, fields)
        return self._state.news.send(made, step, write(document).encode(), after_s=after_s)

    def _document(self, made: Withdrawal, step: Step, at: datetime, more: Mapping[str, Any]) -> dict[str, Any]:
        asked, switches = made.asked, self._state.switches.now
        narrator = self._state.news.narrator
        fields: dict[str, Any] = {
            "amount": spell(Decimal(asked["amount"]), switches.amount_form),
            "currency": asked["currency"],
            "customFields": asked.get("customFields", {}),
            "customerEmail": asked.get("userEmail"),
            "customerId": asked.get("userId", asked.get("userUniqueId")),
            "idempotencyKey": asked.get("idempotencyKey"),
            "partnerName": narrator.partner_name,
            "reference": made.reference,
            "websiteReference": asked.get("websiteReference"),
        }
        for name in _LEFT_OUT[switches.withdrawal_events]:
            fields.pop(name, None)
        fields |= dict(more)
        if step.version == "v1":
            return {"notificationType": step.kind, "partnerId": narrator.partner_id, **fields}
        stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"eventId": str(uuid4()), "data": {"eventType": step.kind, "timestamp": stamp, **fields}}


def withdrawal_blueprint(state: StableMintState, refused: Callable[[Refusal, str], Response]) -> Blueprint:
    """The two withdrawal calls of one simulated Stable Mint."""
    api = Blueprint("withdrawals", __name__)

    def answer(call: str) -> Response:
        body = request.get_data()
        options, switches = state.surroundings.options, state.switches.now
        now = state.surroundings.clock.now()
        check_caller(
            {name: request.headers.get(name, "") for name in ("ApiKey", "Timestamp", "Signature")},
            body,
            api_key=options.stable_mint_api_key,
            api_secret=options.stable_mint_api_secret,
            partner_key=state.partner_key,
            now=now,
            tolerance_s=switches.timestamp_tolerance_s,
        )
        made, fault = state.withdrawals.ask(call, check_body(call, body), now)
        document: dict[str, Any] = {"reference": made.reference}
        if call == "withdrawal_hosted":  # INFERRED by analogy with hosted sessions
            document["url"] = f"{state.surroundings.url}/withdrawals/{made.ident}"
        match fault:
            case "error_500_after_work":
                raise Refusal(500, "InternalError", "An unexpected error occurred.")
            case "hang":
                state.surroundings.stopping.wait(switches.hang_s)
            case "no_reference":
                document.pop("reference")
            case "unparseable":
                return Response(write(document)[:-2], mimetype="application/json")
        return Response(write(document), mimetype="application/json")

    for call, path in PATHS.items():
        api.add_url_rule(path, call, answer, methods=["POST"], defaults={"call": call})

    @api.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return refused(refusal, state.switches.now.error_body)

    return api


def withdrawal_control(state: StableMintState) -> Blueprint:
    """``/_control/withdrawals``: what was carried out, and events of it at will; loopback only."""
    plane = Blueprint("withdrawals_control", __name__, url_prefix="/_control/withdrawals")
    plane.before_request(guard)

    @plane.get("")
    def list_all() -> ResponseReturnValue:
        return jsonify([one.report() for one in state.withdrawals.all()])

    @plane.post("/<reference>/events")
    def emit(reference: str) -> ResponseReturnValue:
        made = next((one for one in state.withdrawals.all() if one.reference == reference), None)
        if made is None:
            abort(404, "there is no such withdrawal")
        asked = json_object()
        version, word, fields = asked.get("version", "v2"), asked.get("word"), asked.get("fields", {})
        if version not in ("v1", "v2") or not isinstance(word, str) or not isinstance(fields, dict):
            raise SwitchRefused(
                {"word": "requested, accepted, sent or failed", "version": "v1 or v2", "fields": "an object"}
            )
        return jsonify({"deliveries": state.withdrawals.tell(made, word, version=version, fields=fields)}), 201

    return plane


def _refuse_before_work(fault: str) -> None:
    if fault == "declined":
        raise Refusal(400, "WithdrawalDeclined", "The withdrawal cannot be made.")
    if fault == "rate_limited":
        raise Refusal(429, "TooManyRequests", "Too many requests.")
    if fault == "error_500_before_work":
        raise Refusal(500, "InternalError", "An unexpected error occurred.")
