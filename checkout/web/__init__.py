"""Doors of HTTP: views translate, call one verb and answer; no SQL and no decision about money.

:func:`register` is the only place that knows every blueprint, and where errors, limits and request ids are wired.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

from flask import Flask, Response, make_response, request
from werkzeug.exceptions import HTTPException

from checkout.errors import CheckoutError, NotFound, StoreUnavailable
from checkout.web import api, documentation, hooks, machines, pages, problems, requests, shopper
from checkout.web.operations import document
from checkout.web.reading import BODY_MAX
from checkout.web.services import wired

#: Below these a person is looking: failures are pages, not problems.
PAGES: Final = ("/pay/", "/embed/", "/return/")


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
    pages.install(app, Path(app.root_path) / (app.template_folder or "templates") / "static")
    app.register_blueprint(shopper.bp)
    app.register_blueprint(hooks.bp)
    machines.install(app)
    described = document(app, [api.bp], public_url=services.settings.public_url, version=version("checkout"))
    documentation.install(app, described)


def _refused(error: CheckoutError) -> Response:
    kind = problems.kind_of(error)
    if not _is_page():
        return problems.answer_error(error)
    if kind is problems.INTERNAL:
        return _failed(error)
    return _page(StoreUnavailable() if kind.status == 503 else NotFound("page", "shown"), kind.status)


def _refused_by_flask(error: HTTPException) -> Response:
    if not _is_page():
        return problems.answer_http(error)
    status = error.code or 500
    if status >= 500:
        problems.note_failure(error)
    return _page(StoreUnavailable() if status >= 500 else NotFound("page", "shown"), status)


def _failed(error: Exception) -> Response:
    if not _is_page():
        return problems.answer_failure(error)
    problems.note_failure(error)
    return _page(StoreUnavailable(), 500)


def _is_page() -> bool:
    return request.path.startswith(PAGES)


def _page(error: NotFound | StoreUnavailable, status: int) -> Response:
    """The shopper's own page for an error, for failures outside the blueprint that draws it."""
    drawn = shopper.missing(error) if isinstance(error, NotFound) else shopper.unavailable(error)
    response = make_response(drawn)
    response.status_code = status
    return pages.guard(response)


__all__ = ["register", "wired"]
