"""Delivering what is due: one try, its answer, and what follows for the message and for its endpoint.

A message is retried for three days by its own backoff. An endpoint that gives no answer, or refuses several messages in a row,
is left alone for a while (:mod:`checkout.telling.turns`); one that has failed for days is disabled, with a case, and what it
missed can be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from checkout import sealing, signing
from checkout.context import Context
from checkout.errors import LostRace, NotFound
from checkout.providers.storefront import Answer
from checkout.rules.notifications import TEST
from checkout.rules.work import (
    ENDPOINT_FAILING_MAX,
    ENDPOINT_REST_MAX,
    NOTIFICATION_BACKOFF_MAX,
    NOTIFICATION_WINDOW,
    backoff,
    endpoint_rest,
    step_deadline,
)
from checkout.store import endpoints
from checkout.store import notifications as rows
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, record_act, reopen_case
from checkout.store.records import EndpointRow, LetterRow
from checkout.store.tables import notification_delivery
from checkout.store.work import give_back, release
from checkout.telling.announcing import WAS_DISABLED, body_of

#: By this status an endpoint says that it is no more (Standard Webhooks): it is disabled at once.
GONE: Final = 410


class Sender(Protocol):
    """Delivers one signed message; whatever happens is an answer."""

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float) -> Answer: ...


class Notifications:
    """The worker's step for a delivery, and the test event a person asks for."""

    def __init__(self, context: Context, sender: Sender) -> None:
        self._context = context
        self._sender = sender
        limit = min(step_deadline(context.lease), context.settings.provider_timeout)
        self._limit = limit

    def step(self, ident: str, token: str) -> None:
        """Try one claimed delivery and record the answer; or give it back, when its endpoint has failed meanwhile."""
        context = self._context
        now = context.clock()
        with context.database.read() as unit:
            letter = rows.letter(unit, ident)
            sealed = [] if letter is None else endpoints.secrets_in_force(unit, letter.endpoint_id, now=now)
        if letter is None:  # pragma: no cover - rows are never deleted
            return
        if letter.lease_token != token:  # another worker has it, or has delivered it already
            raise LostRace(f"the lease on delivery {ident} was lost")
        if not letter.may_go(token, now=now, needs=self._limit):
            self._leave(letter, token)
            return
        self._record(letter, token, self._send(letter, sealed, now))

    def test(self, endpoint_id: str, *, who: str) -> dict[str, Any]:
        """Send an endpoint a test event now, also a disabled one; what came of it. It is not repeated. NotFound."""
        context = self._context
        now = context.clock()
        token = sealing.token()
        message, ident = context.new_id("msg"), context.new_id("dlv")
        data: dict[str, Any] = {"id": message, "status": "test", "endpoint": endpoint_id, "order": None, "metadata": {}}
        with context.database.write() as unit:
            endpoint = endpoints.endpoint_by_id(unit, endpoint_id)
            if endpoint is None or endpoint.removed_at is not None:
                raise NotFound("notification endpoint", endpoint_id)
            rows.insert_notification(
                unit,
                {
                    "id": message, "store_id": endpoint.store_id, "payment_id": None, "subject": message, "type": TEST,
                    "sequence": 1, "body": body_of(TEST, 1, data, now=now), "created_at": now,
                },
            )  # fmt: skip
            delivery = {
                "id": ident, "notification_id": message, "endpoint_id": endpoint_id, "state": rows.PENDING, "since": now,
                "due_at": now, "lease_token": token, "lease_until": now + context.lease,
            }  # fmt: skip
            rows.insert_deliveries(unit, [delivery])
            record_act(
                unit, context.new_id("act"), who=who, action="endpoint tested", subject=endpoint_id, at=now,
                detail={"notification": message},
            )  # fmt: skip
            letter = rows.letter(unit, ident)
            sealed = endpoints.secrets_in_force(unit, endpoint_id, now=now)
        if letter is None:  # pragma: no cover - it was written just now
            raise NotFound("notification", message)
        answer = self._send(letter, sealed, now)
        self._record(letter, token, answer)
        return {
            "id": message, "endpoint": endpoint_id, "url": letter.url, "delivered": answer.accepted, "status": answer.status,
            "problem": answer.problem, "response": answer.excerpt, "duration_ms": answer.duration_ms,
        }  # fmt: skip

    def _send(self, letter: LetterRow, sealed: Sequence[bytes], now: datetime) -> Answer:
        signatures = [
            signing.sign_notification(
                self._context.sealer.open_text(one), message_id=letter.message_id, timestamp=now, body=letter.body
            )
            for one in sealed
        ]
        headers = {
            "content-type": "application/json",
            "webhook-id": letter.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return self._sender.send(letter.url, letter.body.encode(), headers, deadline_s=self._limit.total_seconds())

    def _leave(self, letter: LetterRow, token: str) -> None:
        """Nothing was sent: the delivery waits for the endpoint, or is given up with it."""
        with self._context.database.write() as unit:
            if letter.endpoint_state == endpoints.ACTIVE:
                give_back(unit, notification_delivery, letter.id, token, due_at=letter.due_at or self._context.clock())
            else:
                _release(unit, letter, token, state=rows.ABANDONED, last_answer=WAS_DISABLED)

    def _record(self, letter: LetterRow, token: str, answer: Answer) -> None:
        now = self._context.clock()
        said = answer.problem if answer.status is None else f"status {answer.status}"
        with self._context.database.write() as unit:
            # the endpoint before its deliveries, always: two that record at once then wait for one another in one order
            if answer.accepted:
                woken = letter.failures > 0 and endpoints.recovered(unit, letter.endpoint_id)
                _release(unit, letter, token, tried=True, state=rows.DELIVERED, delivered_at=now, last_answer=said)
                if woken:
                    rows.wake_pending(unit, letter.endpoint_id, now=now)
            elif letter.type == TEST:
                _release(unit, letter, token, tried=True, state=rows.ABANDONED, last_answer=said)
            else:
                self._failed(unit, letter, token, answer, said, now=now)
            sealed = self._context.sealer.seal_text(answer.excerpt) if answer.excerpt else None
            rows.log_try(
                unit,
                {
                    "delivery_id": letter.id, "number": letter.tries + 1, "at": now, "status": answer.status,
                    "problem": answer.problem, "excerpt_sealed": sealed, "duration_ms": answer.duration_ms,
                },
            )  # fmt: skip

    def _failed(self, unit: Unit, letter: LetterRow, token: str, answer: Answer, said: str, *, now: datetime) -> None:
        """What a failure does to the message and to its endpoint."""
        context = self._context
        endpoint = endpoints.endpoint_by_id(unit, letter.endpoint_id, lock=True)
        if endpoint is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("notification endpoint", letter.endpoint_id)
        ended = endpoint.state != endpoints.ACTIVE
        over = now - letter.since > context.scaled(NOTIFICATION_WINDOW)
        because = None if ended else self._hopeless(endpoint, letter, answer, over=over, now=now)
        if ended or over or because is not None:
            _release(unit, letter, token, tried=True, state=rows.ABANDONED, last_answer=said)
        else:
            wait = backoff(letter.attempts + 1, longest=NOTIFICATION_BACKOFF_MAX, jitter=context.jitter())
            attempts, due_at = letter.attempts + 1, now + context.scaled(wait)
            _release(unit, letter, token, tried=True, attempts=attempts, due_at=due_at, last_answer=said)
        if because is not None:
            retire(unit, context, endpoint, why=because, now=now)
            detail = f"notifications to {_host(endpoint.url)} stopped: {because} (last: {said})"
            reopen_case(
                unit, context.new_id("case"), kind="endpoint_disabled", subject=endpoint.id, detail=detail, at=now
            )
        elif not ended:
            self._left_alone(unit, endpoint, token, answer, now=now)
            if over:
                detail = f"{letter.type} for {letter.subject} could not be delivered: {said}"
                reopen_case(
                    unit, context.new_id("case"), kind="notification_undelivered", subject=endpoint.id, detail=detail, at=now
                )  # fmt: skip

    def _hopeless(
        self, endpoint: EndpointRow, letter: LetterRow, answer: Answer, *, over: bool, now: datetime
    ) -> str | None:
        """Why an endpoint is disabled now, or None."""
        context = self._context
        if answer.status == GONE:
            return "it answered 410 Gone"
        since = endpoint.failing_since or now
        # a message that was tried for as long as it may be, all the while nothing else was taken, speaks for the endpoint
        for_all = over and since - letter.since <= context.scaled(ENDPOINT_REST_MAX)
        if for_all or now - since > context.scaled(ENDPOINT_FAILING_MAX):
            return f"it has taken nothing for {ENDPOINT_FAILING_MAX.days} days"
        return None

    def _left_alone(self, unit: Unit, endpoint: EndpointRow, token: str, answer: Answer, *, now: datetime) -> None:
        """Count the failure, once for all that were under way together, and say when the endpoint is tried again."""
        probed = endpoint.probe_token == token
        if endpoint.resting_until is not None and not probed:
            return
        context = self._context
        failures = endpoint.failures + 1
        rest = endpoint_rest(failures, answered=answer.status is not None and not probed, jitter=context.jitter())
        endpoints.update_endpoint(
            unit, endpoint.id, failures=failures, failing_since=endpoint.failing_since or now, probe_token=None,
            resting_until=None if rest is None else now + context.scaled(rest),
        )  # fmt: skip


def retire(unit: Unit, context: Context, endpoint: EndpointRow, *, why: str, now: datetime, who: str = WORKER) -> int:
    """Disable an endpoint and give up what waits for it; how many. Its row must be locked by the caller."""
    endpoints.update_endpoint(
        unit, endpoint.id, state=endpoints.DISABLED, disabled_at=now, disabled_because=why[:500], resting_until=None,
        probe_token=None,
    )  # fmt: skip
    count = rows.abandon_pending(unit, endpoint.id, why=WAS_DISABLED)
    record_act(
        unit, context.new_id("act"), who=who, action="endpoint disabled", subject=endpoint.id, at=now,
        detail={"why": why[:500], "given_up": count},
    )  # fmt: skip
    return count


def _release(unit: Unit, letter: LetterRow, token: str, *, tried: bool = False, **values: Any) -> None:
    given = {"due_at": None, "attempts": letter.attempts, **values}
    release(unit, notification_delivery, letter.id, token, tries=letter.tries + int(tried), **given)


def _host(url: str) -> str:
    """Where it goes, without path and query, which may hold a token of the shop's."""
    return "/".join(url.split("/", 3)[:3])
