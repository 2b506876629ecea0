"""The demo shop's pages: pick, pay, and see what the shop was told.

``create_app(options)`` needs a server that knows its own port; every address it hands out is made from there,
never from the Host header.
"""

from __future__ import annotations

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
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from checkout.errors import BadSignature
from checkout.simulator.shop.catalogue import BY_SLUG, PRODUCTS, Basket
from checkout.simulator.shop.news import PaymentNews, read_notification
from checkout.simulator.shop.orders import Order, Orders, as_json
from checkout.simulator.shop.service import Opened, Refused, Service, Silent

TEMPLATES: Final = Path(__file__).resolve().parents[3] / "templates"
COOKIE: Final = "demo_shop_basket"  # cookies do not know ports: the name must be this shop's own
BODY_MAX: Final = 64 * 1024
OUTCOMES: Final = ("success", "exit", "error", "support")


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
        self._new_id = new_id
        self._secret = options.shop_notification_secret
        self._service = Service(api_url, options.shop_api_key)

    # Picking

    def basket(self) -> Basket:
        return Basket.read(request.cookies.get(COOKIE), self._new_id)

    def home(self) -> ResponseReturnValue:
        return render_template("demo_shop/home.html", products=PRODUCTS, basket=self.basket())

    def show_basket(self) -> ResponseReturnValue:
        return render_template("demo_shop/basket.html", basket=self.basket())

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
        basket = self.basket()
        if not basket.slugs or request.form.get("basket") != basket.id:
            return redirect(url_for("shop.show_basket"), code=303)  # changed in another tab: look again first
        return self._to_payment(self.orders.place(basket))

    def pay_order(self, ident: str) -> ResponseReturnValue:
        """Again, for an order that is there but could not be paid yet."""
        return self._to_payment(self._found(ident))

    def _to_payment(self, order: Order) -> ResponseReturnValue:
        if order.paid or order.ended:
            return redirect(url_for("shop.show_order", ident=order.id), code=303)
        if order.checkout_url is not None:
            return redirect(order.checkout_url, code=303)
        back = {f"{outcome}_url": f"{self.origin}/orders/{order.id}/back/{outcome}" for outcome in OUTCOMES}
        answer = self._service.open_payment(order.id, order.total, back)
        if isinstance(answer, Opened):
            self.orders.opened(order.id, answer)
            return redirect(answer.checkout_url, code=303)
        self.orders.trouble(order.id, _trouble(answer))
        page = render_template("demo_shop/trouble.html", order=order, answer=answer, basket=self.basket())
        return make_response(page, 502 if isinstance(answer, Refused) else 504)

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
        answer = make_response(render_template("demo_shop/order.html", order=order, basket=shown))
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
        response.set_cookie(COOKIE, basket.cookie(), httponly=True, samesite="Lax", max_age=86_400)
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


def _guard(shop: Shop, response: Response) -> Response:
    # A browser holds a form to this list even where the answer sends it on: to the service's payment page.
    leads_to = " ".join(sorted({origin_of(url) for url in shop.service_urls}))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'self' {leads_to}; frame-ancestors 'none'"
    )
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
