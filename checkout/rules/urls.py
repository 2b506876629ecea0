"""Where a browser may be sent, and from where it may come: pure text rules, no network and no DNS.

Everything here reads a URL the strict way and refuses what two programs could read differently (user-info,
backslashes, control characters, non-ASCII, odd number forms of an address), because a redirect to a
look-alike is a gift to a phisher. Nothing here repairs a URL: it is used exactly as it was checked, or not at
all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: Longer than any real checkout link, short enough for every proxy and column.
URL_CHARS_MAX: Final = 2048

#: Where a store's shoppers go on to: after paying, after leaving, after an error, for help.
RETURN_URLS: Final = ("success_url", "exit_url", "error_url", "support_url")

_HTTPS_PORT: Final = 443
_HTTP_PORT: Final = 80

#: Printable ASCII without space, backslash, backtick, double quote or angle bracket: what browsers rewrite or
#: drop.
_SAFE = re.compile(r"[!#-;=?-\[\]-_a-~]+")
_WEB = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebUrl:
    """The parts of an http or https URL that was read strictly; scheme and host are lower-case."""

    scheme: str
    host: str  #: an IPv6 address keeps its brackets
    port: int | None  #: None when the URL names none, or the scheme's own
    path: str
    query: str  #: with its ``?``, or empty
    fragment: str  #: with its ``#``, or empty

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``, the form browsers send in ``Origin``."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def loopback(self) -> bool:
        """Whether the host can only be this machine."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDomain:
    """Where shoppers may be sent: https on ``host`` or below it; ``http`` for a sandbox's loopback only.

    With scheme ``http`` the host is matched exactly, both schemes are accepted, and no port means any port.
    """

    scheme: str
    host: str
    port: int | None


@lru_cache(maxsize=64)  # several rules look at the same few, one after the other
def read_url(url: str) -> WebUrl | None:
    """The parts of ``url``, or None when it is not an absolute http(s) URL that every program reads alike."""
    if len(url) > URL_CHARS_MAX or _SAFE.fullmatch(url) is None:
        return None
    whole = _WEB.fullmatch(url)
    authority = _AUTHORITY.fullmatch(whole[2]) if whole else None
    if whole is None or authority is None:
        return None
    scheme, host = whole[1].lower(), authority[1].lower()
    port = int(authority[2]) if authority[2] else None
    if not _host_is_plain(host) or (port is not None and port > 65535):
        return None
    if port == (_HTTPS_PORT if scheme == "https" else _HTTP_PORT):
        port = None
    return WebUrl(scheme=scheme, host=host, port=port, path=whole[3], query=whole[4] or "", fragment=whole[5] or "")


@lru_cache(maxsize=256)  # the hosts of a shop are few, and asked about at every payment
def _host_is_plain(host: str) -> bool:
    """A DNS name without a trailing dot, a dotted-quad IPv4 or a bracketed IPv6 address; nothing cleverer."""
    if host.startswith("["):
        return _is_address(host[1:-1], version=6)
    labels = host.split(".")
    if len(host) > 253 or any(_LABEL.fullmatch(label) is None for label in labels):
        return False
    # Browsers read 127.1, 2130706433 and 0x7f.1 as IPv4: a last label that looks like a number must be the
    # real form.
    if labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        return _is_address(host, version=4)
    return True


def _is_address(text: str, *, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether ``host`` (lower-case, IPv6 in brackets) is this machine; IPv4 and IPv6, unspecified too."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def host_within(host: str, domain: str) -> bool:
    """Whether ``host`` is ``domain`` or below it: ``a.example`` is within ``example``, ``aexample`` not."""
    return host == domain or host.endswith("." + domain)


def page_allowed(url: str, domains: Sequence[PageDomain]) -> bool:
    """Whether a shopper may be sent to ``url``, which the provider gave: ask when storing and when using."""
    page = read_url(url)
    return page is not None and any(_page_within(page, domain) for domain in domains)


def _page_within(page: WebUrl, domain: PageDomain) -> bool:
    if domain.scheme == "https":
        return page.scheme == "https" and host_within(page.host, domain.host) and page.port == domain.port
    return page.loopback and page.host == domain.host and domain.port in (None, page.port)


def page_domain(text: str, *, sandbox: bool) -> PageDomain | None:
    """Read one entry of a page-domain list: a host, ``host:port`` or an origin; None when it is not one.

    Plain http is for loopback in the sandbox. There a loopback host without a scheme also means http.
    """
    url = read_url(text if "://" in text else f"https://{text}")
    if url is None or url.query or url.fragment or url.path not in ("", "/"):
        return None
    if sandbox and url.loopback and ("://" not in text or url.scheme == "http"):
        return PageDomain(scheme="http", host=url.host, port=url.port)
    if url.scheme == "http" or (url.loopback and not sandbox):
        return None
    if "." not in url.host and not url.loopback:
        return None  # a single label such as "io" would allow half the web
    return PageDomain(scheme="https", host=url.host, port=url.port)


def normal_origin(text: str, *, sandbox: bool) -> str | None:
    """An origin in the form browsers send it, or None: https, or in the sandbox http on loopback; no path."""
    url = read_url(text)
    if url is None or url.query or url.fragment or url.path not in ("", "/"):
        return None
    return url.origin if _secure_enough(url, sandbox=sandbox) else None


def origin_allowed(origin: str, origins: Collection[str]) -> bool:
    """Whether an ``Origin`` header names exactly one of the store's (normal) origins; ``null`` never does."""
    url = read_url(origin)
    return url is not None and url.origin == origin.lower() and url.origin in origins


def web_url_problem(url: str, *, sandbox: bool) -> str | None:
    """What is wrong with a store's own URL (its notification endpoint), or None; loopback in sandbox."""
    read = read_url(url)
    if read is None:
        return (
            f"write an absolute https URL of at most {URL_CHARS_MAX} plain ASCII characters, "
            "without user name, backslash, quotes or spaces (percent-encode what is not ASCII)"
        )
    if read.fragment:
        return "remove the fragment (the part from #)"
    if not _secure_enough(read, sandbox=sandbox):
        return "use https (plain http is for loopback in the sandbox)"
    return None


def shop_url_problem(url: str, origins: Collection[str], *, sandbox: bool) -> str | None:
    """What is wrong with a store's return URL, or None; it must be at one of the store's (normal) origins."""
    problem = web_url_problem(url, sandbox=sandbox)
    if problem is not None:
        return problem
    read = read_url(url)
    if read is None or read.origin not in origins:
        return "its origin is not one of the store's allowed origins"
    return None


def return_url_problems(asked: Mapping[str, str | None], origins: Collection[str], *, sandbox: bool) -> dict[str, str]:
    """What is wrong with each of the return URLs among ``asked``, by its name; other names and None are passed over."""
    named = {name: url for name in RETURN_URLS if (url := asked.get(name)) is not None}
    checked = {name: shop_url_problem(url, origins, sandbox=sandbox) for name, url in named.items()}
    return {name: problem for name, problem in checked.items() if problem is not None}


def _secure_enough(url: WebUrl, *, sandbox: bool) -> bool:
    return url.scheme == "https" or (sandbox and url.loopback)
