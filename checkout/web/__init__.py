"""Doors of HTTP: views translate, call one verb and answer; no SQL and no decision about money.

:func:`register` is the only place that knows every blueprint, and where errors, limits and request ids are wired.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from checkout.errors import CheckoutError
from checkout.web import (
    api,
    cards,
    customers_api,
    documentation,
    embed,
    guides,
    hooks,
    language,
    links,
    links_api,
    looks,
    machines,
    pages,
    problems,
    refunds_api,
    requests,
    settlements_api,
    shopper,
    verification,
)
from checkout.web.operations import document
from checkout.web.reading import BODY_MAX
from checkout.web.services import wired

#: Below these a person is looking: failures are pages, not problems.
PAGES: Final = ("/pay/", "/embed/", "/return/", "/link/")


def register(app: Flask) -> None:
    """Wire every blueprint into the app. Its services are in ``app.extensions["checkout"]`` already."""
    services = app.extensions["checkout"]
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX
    app.url_map.merge_slashes = False  # its redirect would be built from the Host header
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    requests.install(app)
    app.register_error_handler(CheckoutError, _refused)
    app.register_error_handler(HTTPException, _refused_by_flask)
    app.register_error_handler(Exception, _failed)
    language.install(app)
    assets = pages.install(app, Path(app.root_path) / (app.template_folder or "templates") / "static")
    embed.install_script(app, assets)
    for blueprint in (shopper.bp, embed.bp, links.bp, looks.bp):
        app.register_blueprint(blueprint)
    app.register_blueprint(hooks.bp)
    app.register_blueprint(verification.bp)
    machines.install(app)
    blueprints = [api.bp, refunds_api.bp, customers_api.bp, links_api.bp, settlements_api.bp]
    described = document(app, blueprints, public_url=services.settings.public_url, version=version("checkout"))
    documentation.install(app, described)
    app.register_blueprint(guides.bp)


def _refused(error: CheckoutError) -> Response:
    kind = problems.kind_of(error)
    if not _is_page():
        return problems.answer_error(error)
    if kind is problems.INTERNAL:
        return _failed(error)
    return _page(kind.status)


def _refused_by_flask(error: HTTPException) -> Response:
    if not _is_page():
        return problems.answer_http(error)
    status = error.code or 500
    if status >= 500:
        problems.note_failure(error)
    return _page(status)


def _failed(error: Exception) -> Response:
    if not _is_page():
        return problems.answer_failure(error)
    problems.note_failure(error)
    return _page(500)


def _is_page() -> bool:
    return request.path.startswith(PAGES)


def _page(status: int) -> Response:
    """The shopper's own page for an error, for failures outside the blueprint that draws it."""
    drawn = cards.unavailable_page(status) if status >= 500 else cards.missing_page(status)
    return pages.guard(drawn)


__all__ = ["register", "wired"]
