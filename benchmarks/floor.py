"""The least a create-session and a webhook-intake can cost: what ``python -m benchmarks`` divides by.

Flask dispatch, one RSA signature (or verification) with the service's key size, one raw keep-alive HTTP/1.1 exchange
through ``http.client`` (session only), and raw commits through the database's own driver with the service's
durability: two for a session, one for a webhook, one row each. It reads no JSON, checks nothing, encrypts nothing,
deduplicates nothing and could not be used.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

import psycopg
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Flask, Response, request
from sqlalchemy.engine import make_url

#: The rows that are written, as wide as what the service keeps of the same request.
TABLE: Final = "CREATE TABLE IF NOT EXISTS floor (id VARCHAR(64) PRIMARY KEY, body {blob} NOT NULL)"
#: Bytes of the session request that the service sends upstream.
UPSTREAM_BYTES: Final = 620


def sqlite_commit(path: str) -> Callable[[str, bytes], None]:
    """A function that commits one row: WAL, ``synchronous=FULL``, ``BEGIN IMMEDIATE``, as the service does."""
    local = threading.local()

    def commit(ident: str, body: bytes) -> None:
        connection: sqlite3.Connection | None = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = sqlite3.connect(path, timeout=5, isolation_level=None)
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO floor VALUES (?, ?)", (ident, body))
        connection.execute("COMMIT")

    with sqlite3.connect(path) as first:
        first.execute(TABLE.format(blob="BLOB"))
    first.close()
    return commit


def postgresql_commit(url: str) -> Callable[[str, bytes], None]:
    """The same on PostgreSQL, through psycopg."""
    place = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    local = threading.local()

    def commit(ident: str, body: bytes) -> None:
        connection: psycopg.Connection | None = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = psycopg.connect(place)
        connection.execute("INSERT INTO floor VALUES (%s, %s)", (ident, body))
        connection.commit()

    with psycopg.connect(place) as first:
        first.execute(TABLE.format(blob="BYTEA").encode())
    return commit


def create() -> Flask:
    """The floor, for the settings of the service it stands beside."""
    url = os.environ["CHECKOUT_DATABASE_URL"]
    commit = sqlite_commit(make_url(url).database or "") if url.startswith("sqlite") else postgresql_commit(url)
    signer = serialization.load_pem_private_key(os.environ["STABLE_MINT_PRIVATE_KEY"].encode(), None)
    verifier = serialization.load_pem_public_key(os.environ["STABLE_MINT_WEBHOOK_PUBLIC_KEY"].encode())
    assert isinstance(signer, rsa.RSAPrivateKey)
    assert isinstance(verifier, rsa.RSAPublicKey)
    upstream = os.environ["STABLE_MINT_API_URL"].removeprefix("http://")
    local = threading.local()
    app = Flask("floor")

    @app.post("/v1/payments")
    def session() -> Response:
        body = request.get_data()
        commit(uuid.uuid4().hex, body)
        stamp = str(int(time.time()))
        signature = signer.sign(stamp.encode() + b",secret," + body, padding.PKCS1v15(), hashes.SHA256())
        connection: http.client.HTTPConnection | None = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = http.client.HTTPConnection(upstream)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {
            "ApiKey": "key", "Timestamp": stamp, "Signature": base64.b64encode(signature).decode(),
            "Content-Type": "application/json",
        }  # fmt: skip
        connection.request("POST", "/session/hosted", b" " * UPSTREAM_BYTES, headers)
        answer = connection.getresponse().read()
        commit(uuid.uuid4().hex, answer)
        return Response(body + answer, 201, content_type="application/json")

    @app.post("/webhooks/stable-mint")
    def webhook() -> Response:
        body = request.get_data()
        signature = base64.b64decode(request.headers["StableMint-Signature"])
        signed = request.headers["StableMint-Timestamp"].encode() + b"," + body
        verifier.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        commit(uuid.uuid4().hex, body)
        return Response(status=204)

    return app
