"""The Stables client: one call for every operation of the table, and typed ways to the ones the payouts
use.

Each call is one attempt under the caller's stored key; nothing is repeated here. A read by id that answers
404 proves nothing (providers.md B3). A refusal of a *repeated* transfer does not prove that the first was
refused: after an unknown, find out by listing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote as percent_encoded

from checkout.errors import AmountRefused, NotPossible
from checkout.providers.deadline import within
from checkout.providers.outcome import MESSAGE_CHARS_MAX, Accepted, Declined, Outcome, Unknown
from checkout.providers.refusals import correlation_id, private_texts, quotable_error, read_refusal
from checkout.providers.stables_operations import (
    LISTING_ORDER,
    OPERATIONS,
    PUBLISHED_STATUSES,
    Operation,
    Source,
)
from checkout.providers.stables_paging import next_page
from checkout.providers.stables_records import (
    BankCheck,
    CustomerStanding,
    Quote,
    SimulatedDeposit,
    Transfer,
    VerificationLink,
    WebhookDelivery,
    WebhookSubscription,
    read_bank_check,
    read_delivery,
    read_link,
    read_quote,
    read_simulation,
    read_standing,
    read_subscription,
    read_transfer,
)
from checkout.providers.stables_requests import QuoteRequest, TransferRequest, bank_destination, is_uuid4
from checkout.providers.transport import Wire
from checkout.providers.wire_json import as_heard, read_json, write_json

R = TypeVar("R")
Clock = Callable[[], datetime]

#: Pages of one list that are read; a list that has more is not complete.
PAGES_MAX: Final = 200
#: Everything a complete listing may take, all statuses and pages; well inside a worker's step (design.md
#: section 6).
LISTING_TIME: Final = timedelta(seconds=45)
#: CONFIRMED (OpenAPI): our transfers are crypto to bank.
OFFRAMP: Final = "TRANSFER_TYPE_OFFRAMP"

#: Refusals after which a transfer may still exist: 409 is what a key whose first request is still being
#: worked on gets from many services, and the OpenAPI gives a transfer no 409 of its own. INFERRED; erring
#: towards "we do not know".
_UNSURE: Final = MappingProxyType({"create_transfer": frozenset({409})})


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer: its JSON object, its bytes, and the provider's support id."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    correlation_id: str | None


class Stables:
    """``extras``: STABLES_EXTRAS. ``clock`` gives aware UTC time (only for Retry-After dates)."""

    def __init__(self, wire: Wire, *, api_key: str, extras: bool, sandbox: bool, clock: Clock) -> None:
        self._wire = wire
        self._api_key = api_key
        self._extras = extras
        self._sandbox = sandbox
        self._clock = clock

    # -- every operation
    # ------------------------------------------------------------------------------------------

    def call(
        self,
        name: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> Outcome[Answer]:
        """Send one operation of the table, once.

        Raises NotPossible for an extra while STABLES_EXTRAS is off, ValueError for a call that the table
        forbids (unknown parameter, missing key or body): a mistake of ours, found before anything is sent.
        """
        operation = self._permitted(name)
        query, path = query or {}, path or {}
        _check_call(operation, path, query, body=body is not None, key=key)
        headers = {"Authorization": f"Bearer {self._api_key}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = self._wire.send(
            operation.method,
            operation.path.format_map({k: percent_encoded(v, safe="") for k, v in path.items()}),
            query=query,
            content=None if body is None else write_json(body),
            headers=headers,
        )
        if isinstance(answer, Unknown):
            return answer
        if not 200 <= answer.status < 300:
            private = private_texts(body) | {self._api_key}
            unsure = _UNSURE.get(name, frozenset())
            return read_refusal(answer, now=self._clock(), private=private, unsure=unsure)
        correlation = correlation_id(answer)
        try:
            heard = read_json(answer.body) if answer.body.strip() else {}
        except ValueError:
            heard = None
        if not isinstance(heard, dict):
            return Unknown("incomplete answer: not a JSON object", correlation_id=correlation, status=answer.status)
        return Accepted(Answer(answer.status, heard, answer.body, correlation))

    def pages(
        self,
        name: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Iterator[Outcome[Answer]]:
        """Every page of a list, whatever its paging style; ends after the first that is not Accepted.

        A cursor that comes twice, more than PAGES_MAX pages, or fewer items than the list says it has:
        Unknown.
        """
        operation = self._permitted(name)
        if operation.items is None:
            raise ValueError(f"{name} is not a list")
        asked, seen, items = dict(query or {}), set[str](), 0
        if operation.paging is not None:
            asked.setdefault(operation.paging.size, str(operation.page_max))
        for _ in range(PAGES_MAX):
            page = self.call(name, path=path, query=asked)
            if not isinstance(page, Accepted):
                yield page
                return
            try:
                found, cursor, total = next_page(operation, page.value.body, asked)
            except ValueError as exc:
                yield _incomplete(page.value, exc)
                return
            items += len(found)
            if cursor is None and total is not None and total > items:
                yield _incomplete(page.value, "the list says it has more than it gave")
                return
            yield page
            if cursor is None or operation.paging is None:
                return
            if cursor in seen:
                yield _incomplete(page.value, "the list goes round in a circle")
                return
            seen.add(cursor)
            asked[operation.paging.cursor] = cursor
        yield Unknown(f"incomplete answer: more than {PAGES_MAX} pages")

    # -- customers
    # ------------------------------------------------------------------------------------------------

    def read_customer(self, customer_id: str) -> Outcome[CustomerStanding]:
        """Where a customer stands; ``base_payout_approved`` is the gate of money.md section 5."""
        return _read(self.call("read_customer", path={"customerId": customer_id}), read_standing)

    def list_customers(self) -> Outcome[tuple[CustomerStanding, ...]]:
        """All customers of the account: this list has no pages (CONFIRMED, OpenAPI)."""
        return self._collect("list_customers", read_standing)

    def create_customer(self, fields: Mapping[str, object], *, key: str) -> Outcome[CustomerStanding]:
        """``fields`` as the OpenAPI has them.

        409: the ``external_customer_id`` is taken; find it by listing.
        """
        return _read(self.call("create_customer", body=fields, key=key), read_standing)

    def update_customer(self, customer_id: str, fields: Mapping[str, object]) -> Outcome[CustomerStanding]:
        """Replace details or ask for entitlements; the operation has no key, and repeating it changes nothing more."""
        return _read(self.call("update_customer", path={"customerId": customer_id}, body=fields), read_standing)

    def verification_link(self, fields: Mapping[str, object], *, key: str) -> Outcome[VerificationLink]:
        """A link where a customer verifies itself; creates the customer when it is new."""
        return _read(self.call("create_verification_link", body=fields, key=key), read_link)

    # -- quotes and transfers
    # -------------------------------------------------------------------------------------

    def create_quote(self, request: QuoteRequest, *, key: str) -> Outcome[Quote]:
        """Ask for a price.

        Raises RequestRefused for a bad request, NotPossible for a preview with the extras off.
        """
        if request.preview and not self._extras:
            raise NotPossible("a quote preview is outside the published OpenAPI: set STABLES_EXTRAS=on to use it")

        def read(value: object, raw: bytes) -> Quote:
            return read_quote(value, raw, preview=request.preview)

        return _read(self.call("create_quote", body=request.body(), key=key), read)

    def create_transfer(self, request: TransferRequest, *, key: str) -> Outcome[Transfer]:
        """Create the transfer of a quote. Raises RequestRefused for a bad request.

        409 is Unknown here (see ``_UNSURE``). Declined on a repeat says nothing about the first attempt.
        """
        return _read(self.call("create_transfer", body=request.body(), key=key), read_transfer)

    def read_transfer(self, transfer_id: str, *, customer_id: str | None = None) -> Outcome[Transfer]:
        """One transfer by its id; with STABLES_EXTRAS off it is looked up in the customer's complete list.

        Declined with 404 proves nothing about whether the transfer exists, either way.
        """
        if self._extras:
            return _read(self.call("read_transfer", path={"id": transfer_id}), read_transfer)
        if customer_id is None:
            raise NotPossible(
                "reading a transfer by its id is outside the published OpenAPI: "
                "set STABLES_EXTRAS=on, or say whose transfer it is"
            )
        listed = self.list_transfers(customer_id)
        if not isinstance(listed, Accepted):
            return listed
        for transfer in listed.value:
            if transfer.id == transfer_id:
                return Accepted(transfer)
        return Declined(404, "the customer's list of transfers does not have it", code="not_listed")

    def list_transfers(self, customer_id: str | None = None) -> Outcome[tuple[Transfer, ...]]:
        """Every off-ramp transfer of a customer (or of the account), in every state: complete, or Unknown.

        The list demands one status per question (CONFIRMED, OpenAPI), so every published one is asked, and
        ``IN_PROGRESS`` (mcp-new, OBSERVED), which alone may be refused with 400. The newest word on each
        wins.
        """
        found: dict[str, Transfer] = {}
        with within(LISTING_TIME):
            for status in LISTING_ORDER:
                query = {"status": status, "type": OFFRAMP}
                if customer_id is not None:
                    query["customer_id"] = customer_id
                listed = self._collect("list_transfers", read_transfer, query=query)
                match listed:
                    case Accepted(value=transfers):
                        found.update((transfer.id, transfer) for transfer in transfers)
                    case Declined(status=400) if status not in PUBLISHED_STATUSES:
                        continue
                    case Declined():
                        reason = f"no complete list: {status} was refused with {listed.status}: {listed.message}"
                        return Unknown(
                            reason[:MESSAGE_CHARS_MAX],
                            retry_after_s=listed.retry_after_s,
                            correlation_id=listed.correlation_id,
                            status=listed.status,
                        )
                    case Unknown():
                        return listed
        return Accepted(tuple(found.values()))

    def simulate_deposit(self, transfer_id: str, *, key: str) -> Outcome[SimulatedDeposit]:
        """Sandbox only: act as if the exact amount had come to the transfer's address (mcp-new, OBSERVED)."""
        if not self._sandbox:
            raise NotPossible("a deposit can only be simulated in the sandbox")
        return _read(self.call("simulate_deposit", path={"id": transfer_id}, key=key), read_simulation)

    def validate_bank(self, bank: Mapping[str, object]) -> Outcome[BankCheck]:
        """Ask whether bank details are good for a payout (OBSERVED; always answers 200)."""
        body = {"network": "bank", "destination": bank_destination(bank)}
        private = private_texts(body)

        def read(value: object, raw: bytes) -> BankCheck:
            check = read_bank_check(value, raw)
            return BankCheck(check.valid, tuple(quotable_error(error, private) for error in check.errors))

        return _read(self.call("validate_payment_method", body=body), read)

    # -- webhooks
    # -------------------------------------------------------------------------------------------------

    def create_webhook(
        self,
        *,
        name: str,
        url: str,
        event_types: tuple[str, ...],
        secret: str,
        key: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome[WebhookSubscription]:
        """Subscribe an endpoint of ours; ``secret`` is what its deliveries are signed with (docs)."""
        body: dict[str, object] = {
            "name": name,
            "url": url,
            "eventTypes": list(event_types),
            "secret": secret,
        }
        if metadata:
            body["metadata"] = dict(metadata)
        return _read(self.call("create_webhook", body=body, key=key), read_subscription)

    def list_webhooks(self) -> Outcome[tuple[WebhookSubscription, ...]]:
        """Every API-managed subscription (those of the dashboard are not in it: OBSERVED)."""
        return self._collect("list_webhooks", read_subscription)

    def delete_webhook(self, subscription_id: str, *, key: str) -> Outcome[Answer]:
        """End a subscription; the answer is an empty object."""
        return self.call("delete_webhook", path={"subscriptionId": subscription_id}, key=key)

    def webhook_deliveries(self, subscription_id: str | None = None) -> Outcome[tuple[Mapping[str, Any], ...]]:
        """The provider's delivery log, of one subscription (docs) or of all (OBSERVED), as it words it."""

        def as_given(value: object, _raw: bytes) -> Mapping[str, Any]:
            if not isinstance(value, dict):
                raise ValueError("a delivery is not an object")
            return MappingProxyType(value)

        if subscription_id is None:
            return self._collect("list_all_webhook_deliveries", as_given)
        return self._collect("list_webhook_deliveries", as_given, path={"subscriptionId": subscription_id})

    def newest_deliveries(self, subscription_id: str | None, *, newest: int) -> Outcome[tuple[WebhookDelivery, ...]]:
        """The first page of the same log, read into records."""
        name = "list_all_webhook_deliveries" if subscription_id is None else "list_webhook_deliveries"
        path = {} if subscription_id is None else {"subscriptionId": subscription_id}
        operation = OPERATIONS[name]
        query = {"pageSize": str(max(1, min(newest, operation.page_max)))}

        def read(value: object, _raw: bytes) -> tuple[WebhookDelivery, ...]:
            page = next_page(operation, value, query)[0] if isinstance(value, dict) else []
            return tuple(read_delivery(one) for one in page)

        return _read(self.call(name, path=path, query=query), read)

    # -- inside
    # ---------------------------------------------------------------------------------------------------

    def _permitted(self, name: str) -> Operation:
        operation = OPERATIONS[name]
        if operation.source is not Source.OPENAPI and not self._extras:
            raise NotPossible(
                f"{name} is outside the published OpenAPI (known from: {operation.source}): "
                "set STABLES_EXTRAS=on to use it"
            )
        return operation

    def _collect(
        self,
        name: str,
        reader: Callable[[object, bytes], R],
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Outcome[tuple[R, ...]]:
        """All items of all pages, or the first outcome that is not Accepted."""
        items_name = OPERATIONS[name].items or ""
        found: list[R] = []
        for page in self.pages(name, path=path, query=query):
            if not isinstance(page, Accepted):
                return page
            try:
                found += [reader(item, as_heard(item)) for item in page.value.body[items_name]]
            except (ValueError, AmountRefused) as exc:
                return _incomplete(page.value, exc)
        return Accepted(tuple(found))


def _check_call(
    operation: Operation, path: Mapping[str, str], query: Mapping[str, str], *, body: bool, key: str | None
) -> None:
    if set(path) != set(operation.placeholders) or not all(path.values()):
        raise ValueError(f"{operation.name} needs the path parameters {operation.placeholders}")
    if any(part in (".", "..") for part in path.values()):
        raise ValueError(f"{operation.name}: a path parameter is not an id")
    unknown = set(query) - set(operation.query)
    missing = {name for name, required in operation.query.items() if required} - set(query)
    if unknown or missing:
        raise ValueError(f"{operation.name}: unknown {sorted(unknown)}, missing {sorted(missing)}")
    if body != operation.has_body:
        raise ValueError(f"{operation.name} {'needs a' if operation.has_body else 'has no'} body")
    if (key is None and operation.needs_key) or (key is not None and not is_uuid4(key)):
        raise ValueError(f"{operation.name} needs an Idempotency-Key that is a UUID v4")


def _read(outcome: Outcome[Answer], reader: Callable[[object, bytes], R]) -> Outcome[R]:
    if not isinstance(outcome, Accepted):
        return outcome
    answer = outcome.value
    try:
        return Accepted(reader(answer.body, answer.raw))
    except (ValueError, AmountRefused) as exc:
        return _incomplete(answer, exc)


def _incomplete(answer: Answer, why: object) -> Unknown:
    return Unknown(
        f"incomplete answer: {why}"[:MESSAGE_CHARS_MAX],
        correlation_id=answer.correlation_id,
        status=answer.status,
    )
