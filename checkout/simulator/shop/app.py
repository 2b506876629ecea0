"""The demo shop's pages: pick, pay, and see what the shop was told.

``create_app(options)`` needs a server that knows its own port; every address it hands out is made from there,
never from the Host header.
"""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from checkout.errors import BadSignature
from checkout.simulator.shop import uses
from checkout.simulator.shop.catalogue import BY_SLUG, PRODUCTS, Basket
from checkout.simulator.shop.customers import COOKIE as CUSTOMER_COOKIE
from checkout.simulator.shop.customers import Customer, Customers
from checkout.simulator.shop.news import PaymentNews, read_notification
from checkout.simulator.shop.orders import Opened, Order, Orders, Way, as_json
from checkout.simulator.shop.service import Refused, Service, Silent

TEMPLATES: Final = Path(__file__).resolve().parents[3] / "templates"
COOKIE: Final = "demo_shop_basket"  # cookies do not know ports: the name must be this shop's own
BODY_MAX: Final = 64 * 1024
COOKIE_LIFE_S: Final = 86_400
OUTCOMES: Final = ("success", "exit", "error", "support")
#: The page that shows the payment inside: the only one that loads anything from the service.
WIDGET_PAGE: Final = "shop.show_widget"


class ShopOptions(Protocol):
    """What the shop reads of the simulator's options."""

    @property
    def shop(self) -> tuple[str, int] | None: ...
    @property
    def service_url(self) -> str: ...
    @property
    def shop_service_url(self) -> str: ...
    @property
    def shop_api_key(self) -> str: ...
    @property
    def shop_notification_secret(self) -> str: ...


class Shop:
    """The shop's state and its views: one instance per app."""

    def __init__(self, options: ShopOptions, orders: Orders, new_id: Callable[[], str]) -> None:
        if options.shop is None:
            raise ValueError("the shop needs the address it listens on")
        host, port = options.shop
        self.origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        api_url = options.shop_service_url or options.service_url
        self.service_urls = (api_url, options.service_url or api_url)
        self.orders = orders
        self.customers = Customers(new_id)
        self._new_id = new_id
        self._secret = options.shop_notification_secret
        self._service = Service(api_url, options.shop_api_key)

    # Picking

    def basket(self) -> Basket:
        return Basket.read(request.cookies.get(COOKIE), self._new_id)

    def customer(self) -> Customer:
        """Who is here; the answer to this request keeps it in a cookie."""
        if "customer" not in g:
            g.customer = self.customers.read(request.cookies.get(CUSTOMER_COOKIE))
        found: Customer = g.customer
        return found

    def home(self) -> ResponseReturnValue:
        return render_template("demo_shop/home.html", products=PRODUCTS, basket=self.basket())

    def show_basket(self) -> ResponseReturnValue:
        return render_template(
            "demo_shop/basket.html",
            basket=self.basket(),
            customer=self.customer(),
            service=origin_of(self.service_urls[1]),
            source=uses.source,
            script=(TEMPLATES / "static" / "shop-widget.js").read_text(encoding="utf-8"),
        )

    def change_basket(self) -> ResponseReturnValue:
        """Add or remove one product; unknown names change nothing."""
        basket = self.basket()
        slugs = set(basket.slugs) - {request.form.get("remove", "")}
        slugs |= {request.form.get("add", "")} & BY_SLUG.keys()
        answer = redirect(url_for("shop.show_basket" if "remove" in request.form else "shop.home"), code=303)
        return self._keep(answer, basket.changed(slugs, self._new_id))

    # Paying

    def pay(self) -> ResponseReturnValue:
        """One basket id is one order, one key and one payment, however often this is posted."""
        basket, way = self.basket(), request.form.get("way", Way.HOSTED)
        if way not in list(Way):
            abort(400)
        if not basket.slugs or request.form.get("basket") != basket.id:
            return redirect(url_for("shop.show_basket"), code=303)  # changed in another tab: look again first
        return self._to_payment(self.orders.place(basket, Way(way), self.customer().id))

    def pay_order(self, ident: str) -> ResponseReturnValue:
        """Again, for an order that is there but could not be paid yet."""
        return self._to_payment(self._found(ident))

    def _to_payment(self, order: Order) -> ResponseReturnValue:
        if order.paid or order.ended:
            return redirect(url_for("shop.show_order", ident=order.id), code=303)
        if order.checkout_url is not None:
            return self._pay_at(order.id, order.checkout_url, order.client_token)
        customer = self.customer()
        back = {f"{outcome}_url": f"{self.origin}/orders/{order.id}/back/{outcome}" for outcome in OUTCOMES}
        known = self.customers.known(customer)
        answer = self._service.open_payment(order.way, order.id, order.total, back, customer, known=known)
        if isinstance(answer, Opened):
            if order.way is Way.RETURNING:
                self.customers.told(customer)
            self.orders.opened(order.id, answer)
            return self._pay_at(order.id, answer.checkout_url, answer.client_token)
        self.customers.forget(customer)
        self.orders.trouble(order.id, _trouble(answer))
        page = render_template("demo_shop/trouble.html", order=order, answer=answer, basket=self.basket())
        return make_response(page, 502 if isinstance(answer, Refused) else 504)

    @staticmethod
    def _pay_at(ident: str, checkout_url: str, client_token: str | None) -> ResponseReturnValue:
        here = url_for(WIDGET_PAGE, ident=ident)
        return redirect(checkout_url if client_token is None else here, code=303)

    def show_widget(self, ident: str) -> ResponseReturnValue:
        """The payment inside the shop's own page."""
        order = self._found(ident)
        if order.paid or order.ended or order.client_token is None:
            return redirect(url_for("shop.show_order", ident=ident), code=303)
        service = origin_of(self.service_urls[1])
        return render_template("demo_shop/pay_here.html", order=order, basket=self.basket(), service=service)

    # A customer who comes again

    def account(self) -> ResponseReturnValue:
        """What the service has of this customer's payments; each can be bought again."""
        customer = self.customer()
        answer = self._service.history(customer.id)
        page = render_template(
            "demo_shop/account.html",
            customer=customer,
            basket=self.basket(),
            payments=answer if isinstance(answer, list) else [],
            trouble=None if isinstance(answer, list) else _trouble(answer),
            orders=self.orders.of_customer(customer.id),
            once=self._new_id,
        )
        return make_response(page, 200 if isinstance(answer, list) else 502)

    def buy(self, ident: str) -> ResponseReturnValue:
        """One click from an old order to a new payment, for the customer the service knows.

        ``once`` is the new basket's id, made with the button: a double click is one order.
        """
        slugs = [product.slug for product in self._found(ident).products]
        basket = Basket.read("~".join((request.form.get("once", ""), *slugs)), self._new_id)
        if not basket.slugs:
            abort(400)
        return self._to_payment(self.orders.place(basket, Way.RETURNING, self.customer().id))

    # Afterwards

    def came_back(self, ident: str, outcome: str) -> ResponseReturnValue:
        """Where the service sends the shopper: noted, then the order page, which believes nothing of it."""
        if outcome not in OUTCOMES:
            abort(404)
        self.orders.came_back(self._found(ident).id, outcome)
        return redirect(url_for("shop.show_order", ident=ident), code=303)

    def show_order(self, ident: str) -> ResponseReturnValue:
        self._ask(self.orders.may_ask(ident))
        order, basket = self._found(ident), self.basket()
        done = order.paid and basket.id == order.basket_id
        shown = Basket(self._new_id()) if done else basket
        page = render_template("demo_shop/order.html", order=order, basket=shown, once=self._new_id)
        answer = make_response(page)
        return self._keep(answer, shown) if done else answer

    def show_order_json(self, ident: str) -> ResponseReturnValue:
        """The order as data, for tests and the curious: with every notification that was heard."""
        return jsonify(as_json(self._found(ident)))

    def ask(self, ident: str) -> ResponseReturnValue:
        """The button: ask the API how the payment stands."""
        self._ask(self.orders.may_ask(self._found(ident).id, by_hand=True))
        return redirect(url_for("shop.show_order", ident=ident), code=303)

    def buy_again(self, ident: str) -> ResponseReturnValue:
        """The same products in a new basket: an order that ended stays as it is."""
        slugs = [product.slug for product in self._found(ident).products]
        answer = redirect(url_for("shop.show_basket"), code=303)
        return self._keep(answer, Basket(self._new_id()).changed(slugs, self._new_id))

    # What the service tells us

    def notified(self) -> ResponseReturnValue:
        """Verify, take in, answer 2xx; also to what is repeated or not ours, or it would be sent again."""
        if not self._secret:
            return jsonify(error="this shop has no notification secret"), 503
        try:
            notification = read_notification(self._secret, request.get_data(), dict(request.headers))
        except BadSignature:
            return jsonify(error="not signed with this shop's secret"), 401
        if notification is None:
            return jsonify(known=False), 202
        return jsonify(known=self.orders.hear(notification))

    def show_strays(self) -> ResponseReturnValue:
        return jsonify(notifications=self.orders.strays())

    def _ask(self, order: Order | None) -> None:
        if order is None or order.payment_id is None:
            return
        answer = self._service.read_payment(order.payment_id)
        if isinstance(answer, PaymentNews):
            self.orders.told(order.id, answer, since=order.version)
        else:
            self.orders.trouble(order.id, _trouble(answer))

    def _found(self, ident: str) -> Order:
        return self.orders.find(ident) or abort(404)

    @staticmethod
    def _keep(answer: Any, basket: Basket) -> Response:
        response = make_response(answer)
        response.set_cookie(COOKIE, basket.cookie(), httponly=True, samesite="Lax", max_age=COOKIE_LIFE_S)
        return response


def _trouble(answer: Refused | Silent) -> str:
    if isinstance(answer, Silent):
        return f"No usable answer: {answer.reason}. We do not know; asking again is safe."
    return f"The service refused ({answer.status}): {answer.title}"


def _new_id() -> str:
    """Ten letters and digits that nobody guesses and anybody can read out."""
    return "PP-" + "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTUVWXYZ") for _ in range(10))


def create_app(
    options: ShopOptions,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = _new_id,
) -> Flask:
    """The shop as a WSGI application that holds all its orders; ValueError without an address of its own."""
    shop = Shop(options, Orders(clock, new_id), new_id)
    app = Flask(__name__, template_folder=str(TEMPLATES), static_folder=str(TEMPLATES / "static"))
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 86_400
    app.jinja_env.globals["asset"] = _asset
    app.jinja_env.filters["listing"] = _listing
    bp = Blueprint("shop", __name__)
    for rule, view, method in (
        ("/", shop.home, "GET"),
        ("/basket", shop.show_basket, "GET"),
        ("/basket", shop.change_basket, "POST"),
        ("/checkout", shop.pay, "POST"),
        ("/orders/<ident>", shop.show_order, "GET"),
        ("/orders/<ident>.json", shop.show_order_json, "GET"),
        ("/orders/<ident>/pay", shop.pay_order, "POST"),
        ("/orders/<ident>/ask", shop.ask, "POST"),
        ("/orders/<ident>/again", shop.buy_again, "POST"),
        ("/orders/<ident>/buy", shop.buy, "POST"),
        ("/orders/<ident>/widget", shop.show_widget, "GET"),
        ("/account", shop.account, "GET"),
        ("/orders/<ident>/back/<outcome>", shop.came_back, "GET"),
        ("/notifications", shop.notified, "POST"),
        ("/notifications.json", shop.show_strays, "GET"),
    ):
        bp.add_url_rule(rule, view_func=view, methods=[method])
    bp.before_request(_same_site)
    app.register_blueprint(bp)
    app.register_error_handler(HTTPException, lambda error: _error_page(shop, error))
    app.after_request(lambda response: _guard(shop, response))
    return app


def _asset(name: str) -> str:
    """The address of a static file, new whenever its content is."""
    digest = hashlib.sha256((TEMPLATES / "static" / name).read_bytes()).hexdigest()[:12]
    return url_for("static", filename=name, v=digest)


def _listing(code: str) -> Markup:
    """Code as the text of an element, where quotes need no escape: they are most of what has to be sent."""
    plain = str(code).strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(plain)  # noqa: S704 - escaped just now


def origin_of(url: str) -> str:
    """``scheme://host:port`` of a URL, as a policy names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _same_site() -> None:
    """Another site's page may not post here; what is no browser (a notification) sends no such header."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "none") not in (
        "none",
        "same-origin",
    ):
        abort(403)


def _error_page(shop: Shop, error: HTTPException) -> ResponseReturnValue:
    page = render_template("demo_shop/missing.html", code=error.code, basket=shop.basket())
    return make_response(page, error.code or 500)


def _compress(response: Response) -> None:
    """Text as gzip for whoever takes it; nothing here repeats what a stranger sent, so lengths tell nothing."""
    if response.status_code != 200 or not request.accept_encodings["gzip"]:
        return
    response.direct_passthrough = False  # a static file comes as a stream
    response.set_data(gzip.compress(response.get_data(), compresslevel=6, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")


def _guard(shop: Shop, response: Response) -> Response:
    # A browser holds a form to this list even where the answer sends it on: to the service's payment page.
    leads_to = " ".join(sorted({origin_of(url) for url in shop.service_urls}))
    service = origin_of(shop.service_urls[1])
    shown = (
        f"script-src 'self' {service}; frame-src {service}" if request.endpoint == WIDGET_PAGE else "script-src 'self'"
    )
    policy = (
        f"default-src 'none'; {shown}; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'self' {leads_to}; frame-ancestors 'none'"
    )
    _compress(response)
    if "customer" in g and request.cookies.get(CUSTOMER_COOKIE) != g.customer.id:
        response.set_cookie(CUSTOMER_COOKIE, g.customer.id, httponly=True, samesite="Lax", max_age=COOKIE_LIFE_S)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
