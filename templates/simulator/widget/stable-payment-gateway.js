// <stable-payment-gateway>: the simulated widget of an embedded session.
//
//   import { register } from ".../stable-payment-gateway.js";
//   register({ baseUrl: "https://the-payment-initiation-service" });
//
// Tells its page by `exit`, `manual-success-primary-click` and `manual-success-secondary-click`, and by nothing else:
// whether money came is known from webhooks.

import { MANUAL, NAMES, OPEN_BANKING, read } from "./attributes.js";
import { look } from "./look.js";
import * as screens from "./screens.js";
import { Refused, Wire } from "./wire.js";

const TAG = "stable-payment-gateway";
const TIMER_MAX_MS = 2 ** 31 - 1;
const COPIED_MS = 2_000;
let wire = null;
let sheet = null;

// Known states of a session that say what to show; in any other the shopper goes on choosing.
const BY_STATE = { paid: "paid", transfer_announced: "announced", expired: "expired", failed: "refused" };

class StablePaymentGateway extends HTMLElement {
  static observedAttributes = NAMES;

  #root = this.attachShadow({ mode: "open" });
  #screen = screens.make("div", { class: "gateway", lang: "en" });
  #said = screens.make("p", { class: "unseen", role: "status", lang: "en" });
  #bound = null;
  #session = null;
  #choice = { method: null, bank: null, amount: "" };
  #step = "loading";
  #problem = "";
  #busy = false;
  #turn = 0;
  #timer = 0;

  constructor() {
    super();
    sheet ??= look();
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.append(this.#screen, this.#said);
    this.#root.addEventListener("click", (event) => this.#pressed(event));
    this.#root.addEventListener("change", (event) => this.#changed(event.target));
    this.#root.addEventListener("input", (event) => this.#typed(event.target));
    this.#root.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.name) this.#do("next"); // as in a form
    });
  }

  connectedCallback() {
    this.#bound = read(this);
    this.#load();
  }

  disconnectedCallback() {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || this.#bound === null || before === after) return;
    this.#bound = read(this);
    if (name === "session-id") this.#load();
    else if (this.#session) this.#show(this.#step, { focus: false });
  }

  async #load({ focus = false } = {}) {
    clearTimeout(this.#timer);
    const turn = (this.#turn += 1);
    const ident = this.#bound.sessionId;
    if (this.#session?.sessionId !== ident) {
      this.#session = null;
      this.#choice = { method: null, bank: null, amount: "" };
    }
    if (ident === null) {
      this.#show("unknown", { focus });
      return;
    }
    if (this.#session === null) this.#show("loading", { focus: false });
    try {
      const found = await wire.session(ident);
      if (turn === this.#turn) this.#took(found, { focus });
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#show(error instanceof Refused && error.status === 404 ? "unknown" : "silent", { focus });
    }
  }

  // A fresh picture of the session: what it says goes before what is on the screen.
  #took(found, { focus, step = "choose" } = {}) {
    this.#session = found;
    clearTimeout(this.#timer);
    const leftMs = (found.expiresInSeconds ?? 0) * 1000;
    if (leftMs > 0) this.#timer = setTimeout(() => this.#load({ focus: true }), Math.min(leftMs + 200, TIMER_MAX_MS));
    this.#show(BY_STATE[found.state] ?? step, { focus });
  }

  #view() {
    const [bound, session] = [this.#bound, this.#session ?? { banks: [] }];
    const saved = bound.saved.map((id) => session.banks.find((one) => one.id === id)).filter(Boolean);
    const others = session.banks.filter((one) => !saved.includes(one));
    const method = [this.#choice.method, bound.method, bound.methods[0]].find((one) => bound.methods.includes(one));
    const chosen = this.#choice.bank ?? [...saved, ...others][0]?.id;
    const step = ["bank", "manual"].includes(this.#step);
    const known = session.amount ?? bound.amount;
    return {
      ...session,
      saved,
      others,
      method,
      methods: bound.methods,
      country: bound.country,
      currency: session.currency ?? bound.currency,
      bank: chosen,
      bankName: session.banks.find((one) => one.id === chosen)?.name,
      amount: known ?? (step ? this.#amount() : null),
      typed: this.#choice.amount,
      problem: this.#problem,
    };
  }

  // The amount as the provider takes it; null while it is none.
  #amount() {
    const text = this.#choice.amount.trim().replace(",", ".");
    return /^[0-9]{1,12}(\.[0-9]{1,6})?$/.test(text) && Number(text) > 0 ? text : null;
  }

  #show(step, { focus = true } = {}) {
    this.#step = step;
    this.#screen.replaceChildren(screens.top(), screens[step](this.#view()));
    const heading = this.#screen.querySelector("h2");
    if (focus) heading?.focus();
    else if (heading) this.#said.textContent = heading.textContent;
  }

  #pressed(event) {
    const pressed = event.target.closest?.("[data-act]");
    if (pressed) this.#do(pressed.dataset.act, pressed);
  }

  #typed(field) {
    if (field.name === "amount") this.#choice.amount = field.value;
  }

  #changed(field) {
    if (field.type !== "radio") return;
    this.#choice[field.name] = field.value;
    if (field.name !== "method") return;
    this.#problem = "";
    this.#show("choose", { focus: false });
    this.#screen.querySelector(`[name="method"][value="${CSS.escape(field.value)}"]`)?.focus();
  }

  #do(act, pressed) {
    if (this.#busy) return;
    const acts = {
      next: () => this.#next(),
      back: () => this.#fresh("choose"),
      pay: () => this.#pay("pay"),
      fail: () => this.#pay("fail"),
      sent: () => this.#pay("pay"),
      leave: () => this.#exit(),
      exit: () => this.#exit(),
      reload: () => this.#load({ focus: true }),
      primary: () => this.#tell("manual-success-primary-click"),
      secondary: () => this.#tell("manual-success-secondary-click"),
      copy: () => this.#copy(pressed),
    };
    acts[act]?.();
  }

  #fresh(step) {
    this.#problem = "";
    this.#show(step);
  }

  #next() {
    if (this.#step !== "choose") return;
    const view = this.#view();
    if (view.amount === null && this.#amount() === null) {
      this.#problem = `Write an amount in ${view.currency}, for example 9.50.`;
      this.#show("choose", { focus: false });
      this.#root.getElementById("amount")?.focus();
      return;
    }
    this.#choice.bank = view.bank;
    this.#fresh(view.method === MANUAL ? "manual" : "bank");
  }

  async #pay(outcome) {
    const view = this.#view();
    const order = { method: view.method, outcome, siteId: this.#bound.siteId };
    if (view.method === OPEN_BANKING) order.bank = view.bank;
    if (this.#session.amount === null) order.amount = view.amount;
    await this.#waiting(async () => {
      this.#problem = "";
      this.#took(await wire.pay(this.#session.sessionId, order), { focus: true });
      if (this.#session.state === "transfer_announced") this.#tell("manual-success-primary-click");
    });
  }

  async #waiting(work) {
    this.#busy = true;
    for (const one of this.#screen.querySelectorAll("button")) one.setAttribute("aria-disabled", "true");
    try {
      await work();
    } catch (error) {
      if (error instanceof Refused && error.status === 400) {
        this.#problem = error.message;
        this.#show(this.#bound.amount === null && this.#session.amount === null ? "choose" : this.#step, { focus: false });
      } else {
        await this.#load({ focus: true }); // it may have been done all the same: look before anything is said
      }
    } finally {
      this.#busy = false;
      for (const one of this.#screen.querySelectorAll("button")) one.removeAttribute("aria-disabled");
    }
  }

  // The page is told in any case; that the provider hears of it too is a courtesy.
  #exit() {
    const ident = this.#session?.sessionId;
    if (ident) wire.leave(ident).catch(() => {});
    this.#tell("exit");
  }

  #tell(name) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true }));
  }

  async #copy(pressed) {
    const label = pressed.firstChild;
    try {
      await navigator.clipboard.writeText(pressed.dataset.text);
      label.textContent = "Copied";
    } catch {
      // A frame may not be allowed to: select it instead, so that one key copies it.
      getSelection()?.selectAllChildren(pressed.closest("div").querySelector("dd"));
      label.textContent = "Selected";
    }
    this.#said.textContent = `${label.textContent} ${pressed.textContent.slice(label.length)}`;
    setTimeout(() => {
      label.textContent = "Copy";
    }, COPIED_MS);
  }
}

// Registers the element. `configs` may hold more (theme, texts) than is understood here; `baseUrl` must be there.
export function register(configs) {
  if (typeof configs?.baseUrl !== "string" || configs.baseUrl === "") {
    throw new TypeError("register needs { baseUrl }: the payment initiation service");
  }
  wire = new Wire(configs.baseUrl);
  if (!customElements.get(TAG)) customElements.define(TAG, StablePaymentGateway);
}
