"""What was sent, and sending it again: the log of a message's tries, one message, or all of a time.

A message sent again is the same message: its id, its body and its place in the sequence. A shop that has it already knows it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.rules.notifications import TEST, wanted
from checkout.store import endpoints, stores
from checkout.store import notifications as rows
from checkout.store.engine import Unit
from checkout.store.moves import record_act
from checkout.store.records import DeliveryRow, EndpointRow, NotificationRow
from checkout.telling.announcing import new_delivery

#: Messages made due in one transaction, so that nobody waits long for the database.
PAGE: Final = 200


class Resending:
    """The operator's view of what stores were told, and the verbs that tell them again."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(
        self, *, store_name: str | None, endpoint_id: str | None, state: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Messages, the newest first. NotFound."""
        with self._context.database.read() as unit:
            store = None if store_name is None else stores.find_store(unit, store_name)
            if store_name is not None and store is None:
                raise NotFound("store", store_name)
            if endpoint_id is not None:
                _endpoint(unit, endpoint_id)
            found = rows.list_messages(
                unit, store_id=None if store is None else store.id, endpoint_id=endpoint_id, state=state, limit=limit
            )
        return [_message(one) for one in found]

    def show(self, ident: str) -> dict[str, Any]:
        """One message: what it says, and every try at every endpoint with its answer. NotFound."""
        with self._context.database.read() as unit:
            message = rows.notification_by_id(unit, ident)
            if message is None:
                raise NotFound("notification", ident)
            deliveries = [self._delivery(unit, one) for one in rows.deliveries_of(unit, ident)]
        return {**_message(message), "body": json.loads(message.body), "deliveries": deliveries}

    def again(self, ident: str, *, endpoint_id: str | None, who: str) -> int:
        """Send one message again: to one endpoint, or to each of the store's active ones that want it; to how many.

        NotFound; NotPossible when there is nobody to send it to, or it is being sent at this moment.
        """
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            message = rows.notification_by_id(unit, ident)
            if message is None:
                raise NotFound("notification", ident)
            if message.type == TEST:
                raise NotPossible("a test event is not sent again; `checkout notifications test` sends another")
            if endpoint_id is None:
                found = [
                    one for one in endpoints.endpoints_of(unit, message.store_id)
                    if one.state == endpoints.ACTIVE and wanted(message.type, one.event_list)
                ]  # fmt: skip
            else:
                found = [_active(_endpoint(unit, endpoint_id, store_id=message.store_id))]
            count = sum(_send(unit, context, one, [message], now=now, missed_only=False) for one in found)
            if not count:
                raise NotPossible(
                    "it is being sent at this moment" if found else "the store has no active endpoint that wants it"
                )
            record_act(
                unit, context.new_id("act"), who=who, action="notification resent", subject=ident, at=now,
                detail={"endpoints": [one.id for one in found]},
            )  # fmt: skip
        return count

    def again_between(
        self, endpoint_id: str, start: datetime, end: datetime | None, *, missed_only: bool, who: str
    ) -> int:
        """Send an endpoint everything that was announced from ``start`` until before ``end``, as far as it wants it; how many.

        With ``missed_only`` just what it never took. NotFound; NotPossible when it is disabled; RequestRefused.
        """
        context = self._context
        now = context.clock()
        until = now if end is None else end
        if start >= until:
            raise RequestRefused({"from": "it must lie before the end of the range, and in the past"})
        with context.database.read() as unit:
            endpoint = _active(_endpoint(unit, endpoint_id))
        count = send_range(context, endpoint, start, until, missed_only=missed_only)
        with context.database.write() as unit:
            record_act(
                unit, context.new_id("act"), who=who, action="notifications resent", subject=endpoint_id, at=now,
                detail={"from": start.isoformat(), "to": until.isoformat(), "missed_only": missed_only, "count": count},
            )  # fmt: skip
        return count

    def _delivery(self, unit: Unit, row: DeliveryRow) -> dict[str, Any]:
        endpoint = endpoints.endpoint_by_id(unit, row.endpoint_id)
        if endpoint is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("notification endpoint", row.endpoint_id)
        return {
            "endpoint": row.endpoint_id,
            "url": endpoint.url,
            "state": row.state,
            "last_answer": row.last_answer,
            "delivered_at": row.delivered_at,
            "next_try_at": row.due_at,
            "tries": [
                {
                    "number": one.number, "at": one.at, "status": one.status, "problem": one.problem,
                    "response": "" if one.excerpt_sealed is None else self._context.sealer.open_text(one.excerpt_sealed),
                    "duration_ms": one.duration_ms,
                }
                for one in rows.tries_of(unit, row.id)
            ],
        }  # fmt: skip


def send_range(context: Context, endpoint: EndpointRow, start: datetime, end: datetime, *, missed_only: bool) -> int:
    """Make an endpoint's messages of a time due again, page by page; how many."""
    count = 0
    after: tuple[datetime, str] | None = None
    while True:
        with context.database.write() as unit:
            page = rows.messages_between(unit, endpoint.store_id, start, end, after=after, most=PAGE)
            chosen = [one for one in page if wanted(one.type, endpoint.event_list)]
            count += _send(unit, context, endpoint, chosen, now=context.clock(), missed_only=missed_only)
        if len(page) < PAGE:
            return count
        after = page[-1].created_at, page[-1].id


def _send(
    unit: Unit, context: Context, endpoint: EndpointRow, messages: list[NotificationRow], *, now: datetime, missed_only: bool
) -> int:  # fmt: skip
    """Make messages due at an endpoint; how many. Those it was never to be sent get their row now."""
    idents = [one.id for one in messages]
    if not idents:
        return 0
    endpoints.endpoint_by_id(unit, endpoint.id, lock=True)  # before its deliveries, as whoever records a try does it
    count = rows.send_again(unit, endpoint.id, idents, now=now, missed_only=missed_only)
    known = set(idents) if missed_only else rows.addressed_to(unit, endpoint.id, idents)
    fresh = [new_delivery(context, ident, endpoint.id, active=True, now=now) for ident in idents if ident not in known]
    if fresh:
        rows.insert_deliveries(unit, fresh)
    return count + len(fresh)


def _endpoint(unit: Unit, ident: str, *, store_id: str | None = None) -> EndpointRow:
    found = endpoints.endpoint_by_id(unit, ident)
    if found is None or found.removed_at is not None or store_id not in (None, found.store_id):
        raise NotFound("notification endpoint", ident)
    return found


def _active(endpoint: EndpointRow) -> EndpointRow:
    if endpoint.state != endpoints.ACTIVE:
        raise NotPossible(
            f"endpoint {endpoint.id} is disabled ({endpoint.disabled_because}); enable it first: "
            f"`checkout notifications enable {endpoint.id}`"
        )
    return endpoint


def _message(row: NotificationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "store": row.store_id,
        "type": row.type,
        "subject": row.subject,
        "sequence": row.sequence,
        "state": row.state,
        "created_at": row.created_at,
    }
