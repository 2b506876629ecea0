"""`checkout customers`: what is stored of a person, and forgetting it."""

from __future__ import annotations

import click

from checkout.commands.answers import answer, facts, json_option, who_option
from checkout.commands.installation import opened, proven


@click.group(short_help="Returning customers: show, erase.")
def customers() -> None:
    """Returning customers, by the shop's own id. What they told us is stored encrypted and never printed."""


@customers.command()
@click.argument("store")
@click.argument("customer")
@json_option
def show(store: str, customer: str, as_json: bool) -> None:
    """Which facts are stored of STORE's CUSTOMER; never the facts themselves."""
    with opened() as services:
        row = services.customers.get(services.stores.find(store).id, customer)
        known = services.customers.kyc_fields(row)
    document = {
        "id": row.external_id, "provider_user_id": row.provider_user_id, "country": row.country,
        "email": row.email_sealed is not None, "kyc_fields": known, "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }  # fmt: skip
    lines = [
        ("id", row.external_id), ("at the provider", row.provider_user_id), ("country", row.country),
        ("stored", ", ".join(["e-mail", *known])), ("since", document["created_at"]),
    ]  # fmt: skip
    answer(as_json, document, facts(lines))


@customers.command()
@click.argument("store")
@click.argument("customer")
@who_option
@json_option
def erase(store: str, customer: str, claimed: str | None, as_json: bool) -> None:
    """Forget STORE's CUSTOMER: e-mail, country and personal facts. Payments and money rows stay."""
    with opened() as services:
        who = proven(services, claimed)
        services.customers.erase(services.stores.find(store).id, customer, who=who)
    said = f"{customer} is erased here. Ask Stable Mint to erase what they were told."
    answer(as_json, {"id": customer, "erased": True, "by": who}, said)
