"""A demo shop in front of a fake service, for the tests that name this module in ``pytest_plugins``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest
from flask import Flask

from checkout.simulator.shop import create_app
from tests.demo_shop import Clock, FakeService, Options, Visitor


@pytest.fixture(scope="module")
def running_service() -> Iterator[FakeService]:
    service = FakeService()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


@pytest.fixture
def service(running_service: FakeService) -> FakeService:
    running_service.requests.clear()
    running_service.payments.clear()
    running_service.customers.clear()
    running_service.answer = None
    return running_service


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(service: FakeService, clock: Clock) -> Flask:
    numbers = count(1)
    app = create_app(Options(service.url), clock=clock, new_id=lambda: f"PP-TEST{next(numbers):04}")
    app.testing = True
    return app


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)
