"""A reader of the guides who does what each page says, snippet by snippet, against a running service and simulators.

Nothing of a page is rewritten but what it marks itself: ``…`` stands for text that is different each time, and words in
capitals (``ID``, ``REFERENCE``, ``TOKEN``) for what an earlier answer said.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import os
import re
import shlex
import socket
import sqlite3
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import click
import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.serving import make_server

from checkout.cli import cli
from checkout.commands.place import free_port
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.edges.command_line import Terminal
from tests.system import BANK, environment
from tests.world import SPEED, World

SHOP = "My shop"
HASH = "0x" + "ab" * 32
#: States that a payment is brought to by its shopper; every other word is a payout's.
PAYMENT_STATES = ("settled",)


@dataclass(frozen=True)
class Snippet:
    """One piece of code of a page."""

    kind: str
    text: str
    marks: Mapping[str, str]


class Page(HTMLParser):
    """A page taken apart: code, links, ids, table rows, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.snippets: list[Snippet] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.codes = 0  #: blocks of code, whether they say how they are run or not
        self._pre: dict[str, str] | None = None
        self._text: list[str] = []
        self._table = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert tag not in ("script", "style", "iframe", "form")
        assert "style" not in found
        assert not any(name.startswith("on") for name in found)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        if tag == "link":
            self.loads.append(found["href"])
        if tag == "table":
            self._table = found.get("id", "")
            self.tables.setdefault(self._table, [])
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self._text = []
        if tag == "pre":
            self.codes += 1
            self._pre, self._text = found, []

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("".join(self._text).strip())
        if tag == "pre" and self._pre is not None:
            if "data-run" in self._pre:
                self.snippets.append(Snippet(self._pre["data-run"], "".join(self._text), self._pre))
            self._pre = None


class Tags(HTMLParser):
    """The elements of a piece of HTML, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def same(documented: str, said: str) -> bool:
    """Whether a text is what the page says, ``…`` being anything and any gap being any other gap."""
    parts = (r"\s+".join(re.escape(word) for word in re.split(r"\s+", part)) for part in documented.split("…"))
    return re.fullmatch(".*".join(parts), said) is not None


def agrees(documented: Any, answered: Any, at: str = "") -> None:
    """Every field that the page names is in the answer with that value; others may be there too."""
    if isinstance(documented, dict):
        assert isinstance(answered, dict), at
        for name, value in documented.items():
            assert name in answered, f"{at}.{name}"
            agrees(value, answered[name], f"{at}.{name}")
    elif isinstance(documented, list):
        assert isinstance(answered, list), at
        assert len(documented) == len(answered), f"{at}: {answered}"
        for number, (one, other) in enumerate(zip(documented, answered, strict=True)):
            agrees(one, other, f"{at}[{number}]")
    elif isinstance(documented, str) and "…" in documented:
        assert isinstance(answered, str), at
        assert same(documented, answered), f"{at}: {answered}"
    else:
        assert documented == answered, at


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command line without its prompt, and the lines of output shown below it."""
    line, shown = "", list[str]()
    for one in text.replace("\\\n", " ").strip().splitlines():
        if one.startswith("$ "):
            if line:
                yield line, shown
            line, shown = one.removeprefix("$ "), []
        else:
            shown.append(one)
    yield line, shown


def understood(line: str) -> click.Context:
    """The command as click has understood it, not run; UsageError for a command or an option that is not there."""
    words = shlex.split(line)
    assert words.pop(0) == "checkout"
    command: click.Command = cli
    context = click.Context(cli, info_name="checkout")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    return command.make_context(command.name, words, parent=context)


class Reader:
    """Follows one guide from top to bottom, as the shop ``My shop``; the working directory is the test's own.

    ``tool`` finds what a page needs beside Python: ``node``, ``node_modules``, ``php``.
    """

    def __init__(self, world: World, url: str, tool: Callable[[str], Any], *, speed: float = SPEED) -> None:
        self._world = world
        self._tool = tool
        self._ends = contextlib.ExitStack()
        #: What the page's own code prints; what other threads log at the same time is not part of it.
        self._said = io.StringIO()
        self._names: dict[str, Any] = {"__name__": "guide", "print": functools.partial(print, file=self._said)}
        self._answer: httpx.Response | None = None
        self._payout = ""
        self._reference = ""
        self._terminal = Terminal(
            environment(
                url,
                CHECKOUT_PUBLIC_URL=world.base,
                CHECKOUT_SPEED=str(speed),
                STABLES_API_URL=world.servers.stables_url,
                STABLE_MINT_API_URL=world.servers.stable_mint_url,
                STABLE_MINT_PAGE_DOMAINS=world.servers.stable_mint_url,
            )
        )
        self.ran: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for one in self._names.values():
            if isinstance(one, httpx.Client):  # what a page's program keeps open until it ends
                one.close()
        self._ends.close()

    def follow(self, page: Page) -> None:
        """Do everything that the page says."""
        if not any(f'stores create "{SHOP}"' in snippet.text for snippet in page.snippets):
            self._has_a_store()
        for snippet in page.snippets:
            if "data-when" in snippet.marks:
                self._wait_for(snippet.marks["data-when"])
            getattr(self, f"_run_{snippet.kind}")(snippet)
            self.ran.append(snippet.kind)

    # --- what each kind of snippet is --------------------------------------------------------------------------------

    def _run_python(self, snippet: Snippet) -> None:
        """Run as it stands; what it prints is what its comments say."""
        exec(compile(snippet.text, "guide", "exec"), self._names)  # noqa: S102 - what the page shows
        documented = re.findall(r"^ *print\(.*\)  # (?!here )(.*)$", snippet.text, re.MULTILINE)
        printed = self._printed()
        assert len(printed) == len(documented)
        for one, other in zip(documented, printed, strict=True):
            assert same(one, other), f"{other} is not {one}"
        if '@app.post("/hooks")' in snippet.text:
            self._receives_in_flask()
        elif "def hear" in snippet.text:
            self._hears()

    def _printed(self) -> list[str]:
        """The lines printed since this was asked last."""
        lines = self._said.getvalue().splitlines()
        self._said.seek(0)
        self._said.truncate()
        return lines

    def _run_http(self, snippet: Snippet) -> None:
        head, _, body = self._filled(snippet.text).partition("\n\n")
        first, *lines = head.splitlines()
        method, path = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        content = body.encode() if body else None
        self._answer = self._world.http.request(method, self._world.base + path, headers=headers, content=content)

    def _run_answer(self, snippet: Snippet) -> None:
        assert self._answer is not None
        head, _, body = snippet.text.partition("\n\n")
        assert head == f"HTTP/1.1 {self._answer.status_code}", self._answer.text
        agrees(json.loads(body), self._answer.json())
        self._answer = None

    def _run_html(self, snippet: Snippet) -> None:
        """Its script is ours, its attributes are those the script takes, and its addresses lead to the payment."""
        script = self._world.http.get(f"{self._world.base}/embed.js").text
        takes = re.search(r"observedAttributes = (\[.*?\])", script)
        assert takes is not None
        for tag, attributes in Tags(self._filled(snippet.text)).found:
            if tag == "script":
                assert attributes == {"src": f"{self._world.base}/embed.js", "async": None}
            elif tag == "stable-checkout":
                assert set(attributes) <= set(json.loads(takes[1]))
                assert attributes["client-token"] == self._names["token"]
                assert f'getAttribute("mode") === "{attributes.get("mode", "page")}"' in script
            else:
                assert tag == "a"
                assert self._world.http.get(attributes["href"] or "", follow_redirects=True).status_code == 200

    def _run_js(self, snippet: Snippet) -> None:
        """Run in Node with the page played by a few lines; it listens to nothing that is never said."""
        play = (
            "const element = new EventTarget(), heard = [], listen = element.addEventListener.bind(element);\n"
            "element.addEventListener = (name, act) => { heard.push(name); listen(name, act); };\n"
            "globalThis.document = { querySelector: () => element };\n"
            "globalThis.location = { assign() {} };\n"
            f"{snippet.text}\n"
            "for (const name of heard) element.dispatchEvent(new CustomEvent(name, { detail: { status: null } }));\n"
            "console.log(JSON.stringify(heard));\n"
        )
        done = subprocess.run([self._tool("node"), "-e", play], capture_output=True, text=True, timeout=30, check=True)
        heard = json.loads(done.stdout.splitlines()[-1])
        news = re.search(r"NEWS = (\[.*?\])", self._world.http.get(f"{self._world.base}/embed.js").text)
        assert news is not None
        assert heard
        assert set(heard) <= set(json.loads(news[1]))

    def _run_node(self, snippet: Snippet) -> None:
        """A server: it hears notifications as they were really sent."""
        self._run_file(snippet)
        Path("node_modules").symlink_to(self._tool("node_modules") / "node_modules")
        self._receives([self._tool("node"), snippet.marks["data-name"]])

    def _run_php(self, snippet: Snippet) -> None:
        self._run_file(snippet)
        self._receives([self._tool("php"), "-S", "127.0.0.1:PORT", snippet.marks["data-name"]])

    def _run_sql(self, snippet: Snippet) -> None:
        """One statement in a shop's database: in whatever order the news come, and however often, the newest stays."""
        for order in itertools.permutations((1, 2, 3, 2)):
            with contextlib.closing(sqlite3.connect(":memory:")) as shop:
                shop.execute("CREATE TABLE orders (number, status, sequence)")
                shop.execute("INSERT INTO orders VALUES ('1001', 'open', 0), ('1002', 'open', 0)")
                for sequence in order:
                    news = {"order": "1001", "status": f"status {sequence}", "sequence": sequence}
                    shop.execute(snippet.text, news)
                found = shop.execute("SELECT * FROM orders ORDER BY number").fetchall()
            assert found == [("1001", "status 3", 3), ("1002", "open", 0)], order

    def _run_file(self, snippet: Snippet) -> None:
        Path(snippet.marks["data-name"]).write_text(self._filled(snippet.text), encoding="utf-8")

    def _run_console(self, snippet: Snippet) -> None:
        for line, shown in commands(snippet.text):
            if snippet.marks.get("data-only") == "parsed":
                understood(line).close()
                continue
            words = shlex.split(self._filled(line))
            assert words[0] == "checkout"
            said = self._terminal.say(*words[1:])
            for one in shown:
                assert any(same(f"…{one}…", other) for other in said.splitlines()), f"{one!r} is not in:\n{said}"
            self._notice(words[1:], said)

    # --- what is remembered of what was said ---------------------------------------------------------------------------

    def _filled(self, text: str) -> str:
        known = {
            "sk_test_…": lambda: os.environ["CHECKOUT_KEY"],
            "pay_…": lambda: str(self._newest("payments")["id"]),
            "lnk_…": lambda: str(self._newest("payment_links")["id"]),
            "TOKEN": lambda: str(self._names["token"]),
            "CUSTOMER": lambda: CUSTOMER_ID,
            "REFERENCE": lambda: self._reference,
            "ID": lambda: self._payout,
            "HASH": lambda: HASH,
            "ENDPOINT": self._endpoint,
            "MESSAGE": lambda: str(self._terminal.ask("notifications", "list", "--store", SHOP)[0]["id"]),
            "TIME": lambda: f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%MZ}",
            "KEY_ID": lambda: str(self._terminal.ask("stores", "keys", SHOP)[0]["id"]),
        }
        for word, value in known.items():
            text = re.sub(rf"(?<![\w-]){word}(?![\w-])", lambda _, value=value: value(), text)  # type: ignore[misc]
        return text

    def _notice(self, words: list[str], said: str) -> None:
        if words[:2] == ["stores", "create"]:
            self._remember("CHECKOUT_KEY", r"sk_test_\S+", said)
            self._world.store = self._world.system.services.stores.find(SHOP).id
        if words[:2] == ["stores", "key"]:
            self._remember("CHECKOUT_KEY", r"sk_test_\S+", said)
        if "whsec_" in said:
            self._remember("CHECKOUT_HOOK_SECRET", r"whsec_\S+", said)
        if words[:2] == ["payouts", "propose"]:
            self._payout = str(self._terminal.ask("payouts", "list", "--store", SHOP)[0]["id"])

    def _remember(self, name: str, pattern: str, said: str) -> None:
        found = re.search(pattern, said)
        assert found is not None, said
        os.environ[name] = found[0]

    def _newest(self, kind: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}"}
        answer = self._world.http.get(f"{self._world.base}/v1/{kind}", params={"limit": 1}, headers=headers)
        found: list[dict[str, Any]] = answer.json()["data"]
        return found[0]

    # --- what happens around the reader -------------------------------------------------------------------------------

    def _has_a_store(self) -> None:
        stores = self._world.system.services.stores
        made = stores.create(SHOP, ["https://shop.example"], who="tester")
        os.environ["CHECKOUT_KEY"] = made.api_key
        self._world.store = made.id
        stores.rule(
            made.id, currency="EUR", asset="USDC", network="polygon", evidence="recorded", settles_gross=False,
            who="tester",
        )  # fmt: skip

    def _wait_for(self, state: str) -> None:
        if state in PAYMENT_STATES:
            self._shopper_pays()
            return
        if state == "shop-there":
            self._is_there()
            return
        if state == "shop-down":
            self._world.system.shop.status = 503
            self._open()
            self._sent()
            return
        if state == "shop-up":
            self._world.system.shop.status = 204
            self._world.until(lambda: not self._pending())
            return
        if not self._payout:
            self._shopper_pays()
            self._payout = self._paid_out() if state == "completed" else self._stuck()
        self._world.until_payout(self._payout, state)

    def _shopper_pays(self) -> None:
        """The newest payment, or one of EUR 9.00 if the guide has opened none."""
        world, headers = self._world, {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}"}
        if not world.http.get(f"{world.base}/v1/payments", headers=headers).json()["data"]:
            self._open()
        payment = self._newest("payments")
        self._reference = str(payment["provider"]["reference"])
        if payment["status"] != "settled":
            world.paid(self._reference)
        world.until(lambda: self._newest("payments")["status"] == "settled")

    def _open(self) -> None:
        """One more payment."""
        world, order = self._world, uuid.uuid4().hex[:8]
        body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": order}
        headers = {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}", "Idempotency-Key": order}
        assert world.http.post(f"{world.base}/v1/payments", json=body, headers=headers).status_code == 201

    def _is_there(self) -> None:
        """Whoever types commands is on another machine than the shop played by a script: a server for them."""

        def accept(_environ: object, start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
            start("204 No Content", [])
            return []

        server = make_server("127.0.0.1", 0, accept)
        answering = threading.Thread(target=server.serve_forever)
        answering.start()
        for step in (server.server_close, answering.join, server.shutdown):  # the last one first
            self._ends.callback(step)
        self._terminal.ask("notifications", "set", self._endpoint(), "--url", f"http://127.0.0.1:{server.port}/hooks")

    def _endpoint(self) -> str:
        return str(self._terminal.ask("notifications", "endpoints", SHOP)[0]["id"])

    def _pending(self) -> int:
        return sum(int(one["pending"]) for one in self._terminal.ask("notifications", "endpoints", SHOP))

    def _paid_out(self) -> str:
        return self._world.payout([self._reference])

    def _stuck(self) -> str:
        """A payout whose transfer failed after its address was revealed."""
        world, services = self._world, self._world.system.services
        services.treasury.record(
            world.store, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[self._reference],
            evidence="advice", who="ann",
        )  # fmt: skip
        services.payout_accounts.add(world.store, {**BANK, "stables_customer_id": CUSTOMER_ID}, who="ann")
        out = services.payouts.propose(world.store, account_id=None, who="ann")
        world.until_payout(out, "quoted")
        services.payouts.approve(out, min_credit=None, who="ann")
        world.until_payout(out, "awaiting_funding")
        services.payouts.reveal(out, who="ann")
        world.stables(f"transfers/{world.stables('transfers')[0]['id']}/status", {"status": "failed"})
        return out

    def _hears(self) -> None:
        """The page's function reads a notification as it was really sent, and refuses one that somebody has changed."""
        body, headers, order = self._sent()
        assert self._names["hear"](body, headers) == order
        with pytest.raises(WebhookVerificationError):
            self._names["hear"](body.replace(b'"9.00"', b'"0.01"'), headers)

    def _receives_in_flask(self) -> None:
        """The page's view does the same, and stores what is true and nothing else."""
        shop = self._names["app"].test_client()
        order = self._believes(lambda body, headers: int(shop.post("/hooks", data=body, headers=headers).status_code))
        assert self._printed() == [f"payment.settled {order}"]

    def _receives(self, command: list[str]) -> None:
        """The page's program does so as a server."""
        port = str(free_port())
        url = f"http://127.0.0.1:{port}/hooks"
        with Path("heard.log").open("w+") as log:
            server = subprocess.Popen(
                [word.replace("PORT", port) for word in command],
                env={**os.environ, "PORT": port},
                stdout=log,
                stderr=log,
            )
            try:
                self._world.until(lambda: server.poll() is not None or _listens(port))
                order = self._believes(
                    lambda body, headers: self._world.http.post(url, content=body, headers=headers).status_code
                )
            finally:
                server.terminate()
                server.wait(10)
        heard = Path("heard.log").read_text(encoding="utf-8")
        assert heard.count("payment.") == heard.count(f"payment.settled {order}") == 1, heard

    def _believes(self, post: Callable[[bytes, Mapping[str, str]], int]) -> str:
        """What it answers to a notification as it was really sent, and to those that nobody has sent; the order's number."""
        body, headers, order = self._sent()
        named = {name: headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
        assert post(body.replace(b'"9.00"', b'"0.01"'), named) == 400
        assert post(body, {}) == 400
        for name, wrong in (("id", "msg_other"), ("timestamp", "1700000000"), ("timestamp", "now"), ("signature", "v1,AAAA"),
                            ("signature", "v1"), ("signature", "")):  # fmt: skip
            assert post(body, {**named, f"webhook-{name}": wrong}) == 400, name
        stale = {**named, "webhook-timestamp": "1700000000"}
        secret = Webhook(os.environ["CHECKOUT_HOOK_SECRET"])
        stale["webhook-signature"] = secret.sign(
            stale["webhook-id"], datetime.fromtimestamp(1_700_000_000, UTC), body.decode()
        )
        assert post(body, stale) == 400, "an old one, signed"
        doubled = {**named, "webhook-signature": f"v1,AAAA {named['webhook-signature']}"}
        assert post(body, doubled) == 204, "signed with an earlier secret too"
        return order

    def _sent(self) -> tuple[bytes, Mapping[str, str], str]:
        """The notification that the newest payment has settled, as it left: body, headers, number of the order."""
        self._shopper_pays()
        payment, shop = self._newest("payments"), self._world.system.shop

        def places() -> list[int]:
            told = (payment["id"], "payment.settled")
            return [place for place, one in enumerate(shop.heard) if (one["data"]["id"], one["type"]) == told]

        self._world.until(lambda: bool(places()))
        body = json.dumps(shop.heard[places()[0]], separators=(",", ":"), ensure_ascii=False).encode()
        return body, shop.headers[places()[0]], str(payment["order"])


def _listens(port: str) -> bool:
    with contextlib.closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", int(port))) == 0
