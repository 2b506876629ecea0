"""A reader of the guides who does what each page says, snippet by snippet, against a running service and simulators.

Nothing of a page is rewritten but what it marks itself: ``…`` stands for text that is different each time, and words in
capitals (``ID``, ``REFERENCE``, ``TOKEN``) for what an earlier answer said.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from standardwebhooks import WebhookVerificationError

from checkout.cli import cli
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
    """Follows one guide from top to bottom, as the shop ``My shop``; the working directory is the test's own."""

    def __init__(self, world: World, url: str, node: str) -> None:
        self._world = world
        self._node = node
        self._names: dict[str, Any] = {"__name__": "guide"}
        self._answer: httpx.Response | None = None
        self._payout = ""
        self._reference = ""
        self._terminal = Terminal(
            environment(
                url,
                CHECKOUT_PUBLIC_URL=world.base,
                CHECKOUT_SPEED=str(SPEED),
                STABLES_API_URL=world.servers.stables_url,
                STABLE_MINT_API_URL=world.servers.stable_mint_url,
                STABLE_MINT_PAGE_DOMAINS=world.servers.stable_mint_url,
            )
        )
        self.ran: list[str] = []

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
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(snippet.text, "guide", "exec"), self._names)  # noqa: S102 - what the page shows
        documented = re.findall(r"^print\(.*\)  # (.*)$", snippet.text, re.MULTILINE)
        printed = said.getvalue().splitlines()
        assert len(printed) == len(documented)
        for one, other in zip(documented, printed, strict=True):
            assert same(one, other), f"{other} is not {one}"
        if "hear" in self._names and "def hear" in snippet.text:
            self._hears()

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
        done = subprocess.run([self._node, "-e", play], capture_output=True, text=True, timeout=30, check=True)
        heard = json.loads(done.stdout.splitlines()[-1])
        news = re.search(r"NEWS = (\[.*?\])", self._world.http.get(f"{self._world.base}/embed.js").text)
        assert news is not None
        assert heard
        assert set(heard) <= set(json.loads(news[1]))

    def _run_file(self, snippet: Snippet) -> None:
        Path(snippet.marks["data-name"]).write_text(self._filled(snippet.text), encoding="utf-8")

    def _run_console(self, snippet: Snippet) -> None:
        for line, shown in commands(snippet.text):
            if snippet.marks.get("data-only") == "parsed":
                understood(line)
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
        }
        for word, value in known.items():
            text = re.sub(rf"(?<![\w-]){word}(?![\w-])", lambda _, value=value: value(), text)  # type: ignore[misc]
        return text

    def _notice(self, words: list[str], said: str) -> None:
        if words[:2] == ["stores", "create"]:
            self._remember("CHECKOUT_KEY", r"sk_test_\S+", said)
            self._world.store = self._world.system.services.stores.find(SHOP).id
        if words[:2] == ["stores", "set"]:
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
        if not self._payout:
            self._shopper_pays()
            self._payout = self._paid_out() if state == "completed" else self._stuck()
        self._world.until_payout(self._payout, state)

    def _shopper_pays(self) -> None:
        """The newest payment, or one of EUR 9.00 if the guide has opened none."""
        world, headers = self._world, {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}"}
        if not world.http.get(f"{world.base}/v1/payments", headers=headers).json()["data"]:
            body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "1"}
            opened = world.http.post(
                f"{world.base}/v1/payments", json=body, headers={**headers, "Idempotency-Key": "1"}
            )
            assert opened.status_code == 201
        payment = self._newest("payments")
        self._reference = str(payment["provider"]["reference"])
        if payment["status"] != "settled":
            world.paid(self._reference)
        world.until(lambda: self._newest("payments")["status"] == "settled")

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
        payment = self._newest("payments")
        self._shopper_pays()
        shop = self._world.system.shop
        self._world.until(lambda: any(one["data"]["id"] == payment["id"] for one in shop.heard))
        place = next(number for number, one in enumerate(shop.heard) if one["data"]["id"] == payment["id"])
        body = json.dumps(shop.heard[place], separators=(",", ":"), ensure_ascii=False).encode()
        assert self._names["hear"](body, shop.headers[place]) == payment["order"]
        with pytest.raises(WebhookVerificationError):
            self._names["hear"](body.replace(b'"9.00"', b'"0.01"'), shop.headers[place])
