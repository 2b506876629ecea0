"""Stable Mint's memory: sessions, deposits, idempotency keys. One lock; nothing is written to disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from checkout.errors import KeyRefused
from checkout.simulator.stable_mint.checks import Refusal
from checkout.simulator.stable_mint.events import Narrator
from checkout.simulator.stable_mint.news import News
from checkout.simulator.stable_mint.sessions import (
    ASSET,
    MANUAL,
    NETWORK,
    OPEN_BANKING,
    Deposit,
    Outcome,
    Session,
    delivered,
    digest,
    new_reference,
    whole_seconds_up,
)
from checkout.simulator.stable_mint.switches import StableMintSwitches, ratio
from checkout.simulator.stable_mint.withdrawals import Withdrawals
from checkout.simulator.surroundings import Surroundings
from checkout.simulator.switches import Switchboard


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer to a session call: ``fault`` is how it is spoilt on its way (``ok``: not at all)."""

    session: Session
    replayed: bool
    fault: str


def _partner_key(pem: str) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise KeyRefused("partner_public_key_pem is not a public key in PEM") from None
    if not isinstance(key, RSAPublicKey):
        raise KeyRefused("partner_public_key_pem is not an RSA key")
    return key


@lru_cache(maxsize=4)  # checking a private key takes longer than starting everything else
def _webhook_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise KeyRefused("webhook_private_key_pem is not an unencrypted private key in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise KeyRefused("webhook_private_key_pem is not an RSA key")
    return key


class StableMintState:
    """Everything one simulated Stable Mint knows. Raises KeyRefused for keys it cannot use."""

    def __init__(self, surroundings: Surroundings) -> None:
        options = surroundings.options
        self.surroundings = surroundings
        self.switches = Switchboard(StableMintSwitches(), options.stable_mint_switches)
        self.partner_key = _partner_key(options.partner_public_key_pem)
        self.news = News(
            url=options.service_url + "/webhooks/stable-mint",
            key=_webhook_key(options.webhook_private_key_pem),
            narrator=Narrator(options.partner_id, options.partner_name),
            switches=self.switches,
            clock=surroundings.clock,
            scheduler=surroundings.scheduler,
        )
        self.lock = threading.RLock()
        self.withdrawals = Withdrawals(self)
        self._sessions: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._by_ident: dict[str, Session] = {}
        self._faults: tuple[StableMintSwitches, int] = (self.switches.now, 0)
        self._saved: dict[str, list[str]] = {}

    def close(self) -> None:
        self.news.deliveries.close()

    def reset(self) -> None:
        """Forget every session, deposit and delivery."""
        with self.lock:
            self.news.deliveries.clear()
            self._sessions.clear()
            self._by_key.clear()
            self._by_ident.clear()
            self._saved.clear()
            self.withdrawals.clear()
            self._faults = (self.switches.now, 0)

    def open(self, flow: str, asked: dict[str, Any], body: bytes, now: datetime) -> Opened:
        """Open a session, or answer for the one that the same idempotencyKey opened; raises :class:`Refusal`.

        That a replay is recognised by the key is CONFIRMED; its answer, and what other content under the same
        key gets (here 409), are UNKNOWN.
        """
        with self.lock:
            switches = self.switches.now
            fault = self._fault(switches)
            _refuse_before_work(fault)
            key = asked.get("idempotencyKey")
            known = None if key is None else self._by_key.get(key)
            if known is not None:
                if known.digest != digest(flow, body):
                    raise Refusal(409, "IdempotencyKeyReused", "The key was used for another request.")
                if switches.session_replay == "error":
                    raise Refusal(409, "DuplicateRequest", "A session with this key exists already.")
                return Opened(known, True, "no_url" if switches.session_replay == "no_url" else fault)
            life_s = max(self.surroundings.clock.wait(switches.session_life_s), switches.session_floor_s)
            session = Session(
                number=len(self._sessions) + 1,
                flow=flow,
                ident=str(uuid4()),
                reference=new_reference(flow),
                asked=asked,
                digest=digest(flow, body),
                opened_at=now,
                expires_at=whole_seconds_up(datetime.fromtimestamp(now.timestamp() + life_s, now.tzinfo)),
            )
            self._sessions[session.reference] = session
            self._by_ident[session.ident] = session
            if key is not None:
                self._by_key[key] = session
            return Opened(session, False, fault)

    def _fault(self, switches: StableMintSwitches) -> str:
        since, count = self._faults
        count = count + 1 if since is switches else 1
        self._faults = (switches, count)
        times = switches.session_outcome_times
        return "ok" if times is not None and count > times else switches.session_outcome

    def session(self, reference: str) -> Session | None:
        """By the session's reference, or by that of one of its deposits."""
        with self.lock:
            found = self._sessions.get(reference)
            if found is None:
                found = next(
                    (
                        one
                        for one in self._sessions.values()
                        if any(deposit.reference == reference for deposit in one.deposits)
                    ),
                    None,
                )
            return found

    def session_at(self, ident: str) -> Session | None:
        """By the UUID in its URL."""
        with self.lock:
            return self._by_ident.get(ident)

    def sessions(self) -> list[Session]:
        with self.lock:
            return list(self._sessions.values())

    def closed(self, session: Session) -> bool:
        """Whether a session's time is over and nothing more is taken for it."""
        return session.expired(self.surroundings.clock.now()) and not self.switches.now.late_money

    def saved_banks(self, user_id: str | None) -> list[str]:
        """Names of the banks a partner's customer has paid from, the last used one first."""
        with self.lock:
            return list(self._saved.get(user_id or "", ()))

    def finish(
        self,
        session: Session,
        outcome: Outcome,
        *,
        chosen: Decimal | None = None,
        amount: Decimal | None = None,
        currency: str | None = None,
        version: str | None = None,
        method: str = OPEN_BANKING,
        bank: str | None = None,
        once: bool = False,
    ) -> tuple[Deposit | None, list[int]]:
        """What the shopper did. A deposit and its deliveries' ids; (None, []) when the shopper only left.

        ``chosen`` is what the shopper set out to pay where the session has no amount; ``amount`` and ``currency``
        are what arrives (else by switch). A ``bank`` paid from is saved for the customer. ``once`` refuses a
        session already paid for.
        """
        now = self.surroundings.clock.now()
        with self.lock:
            if once and session.outcome is Outcome.PAID:
                return None, []
            if outcome is Outcome.LEFT:
                session.outcome = session.outcome if session.outcome is Outcome.PAID else outcome
                return None, []
            switches = self.switches.now
            asked = next((one for one in (session.amount, chosen, amount) if one is not None), None)
            if asked is None:
                raise Refusal(400, "AmountMissing", "This session has no amount: say how much is paid.")
            if session.outcome is not Outcome.PAID:
                session.outcome = outcome
            same = switches.deposit_reference == "same" and not session.deposits
            deposit = Deposit(
                reference=session.reference if same else new_reference(session.flow),
                outcome=outcome,
                asked=asked,
                asked_currency=session.currency,
                amount=_arriving(asked, switches) if amount is None else amount,
                currency=currency or switches.currency or session.currency,
                begun_at=now,
                method=method,
            )
            session.deposits.append(deposit)
            if bank is not None and outcome is Outcome.PAID and method != MANUAL and session.user_id is not None:
                others = [one for one in self._saved.get(session.user_id, ()) if one != bank]
                self._saved[session.user_id] = [bank, *others]
            return deposit, self.news.announce(session, deposit, version)

    def deposit_of(self, session: Session, reference: str | None) -> Deposit:
        """One of a session's deposits (default: the last); before the first, one as it would be paid."""
        with self.lock:
            for one in reversed(session.deposits):
                if reference in (None, one.reference):
                    return one
        amount = Decimal(0) if session.amount is None else session.amount
        return Deposit(
            reference=reference or session.reference,
            outcome=Outcome.PAID,
            asked=amount,
            asked_currency=session.currency,
            amount=amount,
            currency=session.currency,
            begun_at=self.surroundings.clock.now(),
        )

    def settlements(self) -> list[Mapping[str, object]]:
        """Every deposit settled by now and what was delivered for it: the advice a merchant would get."""
        now = self.surroundings.clock.now()
        per_unit = ratio(self.switches.now.delivered_ratio)
        with self.lock:
            pairs = [(session, one) for session in self._sessions.values() for one in session.deposits]
        return [
            {
                "reference": one.reference,
                "session_reference": session.reference,
                "currency": one.currency,
                "amount": format(one.amount, "f"),
                "settled_at": one.settled_at.isoformat(),
                "delivered": {"asset": ASSET, "network": NETWORK, "amount": delivered(one.amount, per_unit)},
            }
            for session, one in pairs
            if one.settled_at is not None and one.settled_at <= now
        ]


def _refuse_before_work(fault: str) -> None:
    if fault == "declined":
        raise Refusal(400, "SessionDeclined", "The session cannot be opened.")
    if fault == "rate_limited":
        raise Refusal(429, "TooManyRequests", "Too many requests.")
    if fault == "error_500_before_work":
        raise Refusal(500, "InternalError", "An unexpected error occurred.")


def _arriving(asked: Decimal, switches: StableMintSwitches) -> Decimal:
    match switches.wrong_amount:
        case "none":
            return asked
        case "less":
            return (asked / 2).quantize(Decimal("0.01"), ROUND_DOWN)
        case "more":
            return asked + 1
        case stated:
            return stated
