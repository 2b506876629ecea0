// The storefront's side: <stable-checkout client-token="…"> shows the payment page of one payment in a frame, or
// links to it. Load it from the payment service:  <script src="https://pay.example/embed.js" async></script>
// Events on the element, all bubbling, with detail {paymentId, status}: ready, exit, submitted, paid, failed, error.
// "paid" is the service's own verified word. What is inside the element shows while there is no script.
"use strict";
(() => {
  const script = document.currentScript ?? document.querySelector('script[src$="/embed.js"]');
  if (!script || customElements.get("stable-checkout")) return;
  const base = script.src.slice(0, -"/embed.js".length);
  const home = new URL(base).origin;
  const TOKEN = /^[\w-]{1,200}$/;
  const READY_MS = 10000;
  const LOADED_MS = 3000;
  const NEWS = ["ready", "exit", "submitted", "paid", "failed", "error"];
  const WORDS = {
    en: ["Continue to payment", "Payment"],
    de: ["Weiter zur Zahlung", "Zahlung"],
    fr: ["Continuer vers le paiement", "Paiement"],
    es: ["Continuar al pago", "Pago"],
  };
  // A sheet made in script: a store's policy against inline styles does not concern it.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { display: block; }
    :host([hidden]), [hidden] { display: none; }
    iframe { display: block; width: 100%; min-height: 20rem; border: 0; color-scheme: normal; background: none; }
    a { display: inline-flex; align-items: center; justify-content: center; min-height: 3rem; padding: .5rem 1.25rem;
        border-radius: .75rem; background: #3a3fd0; color: #fff; font: 600 1rem/1.3 system-ui, sans-serif;
        text-decoration: none; }
    a:focus-visible { outline: 3px solid #3a3fd0; outline-offset: 3px; }
    @media (forced-colors: active) { a { border: 1px solid; } }
  `);

  class StableCheckout extends HTMLElement {
    static observedAttributes = ["client-token", "mode"];
    #root = this.attachShadow({ mode: "open" });
    #frame = null;
    #timer = 0;
    #isReady = false;
    #heard = new Set();

    constructor() {
      super();
      this.#root.adoptedStyleSheets = [sheet];
    }

    connectedCallback() {
      addEventListener("message", this.#hear);
      this.#draw();
    }

    disconnectedCallback() {
      removeEventListener("message", this.#hear);
      clearTimeout(this.#timer);
      this.#root.replaceChildren();
      this.#frame = null;
    }

    attributeChangedCallback(_name, before, after) {
      if (this.isConnected && before !== after) this.#draw();
    }

    get #token() {
      const token = this.getAttribute("client-token") ?? "";
      return TOKEN.test(token) ? token : "";
    }

    get #words() {
      const wanted = this.closest("[lang]")?.lang || navigator.language;
      return WORDS[wanted.slice(0, 2).toLowerCase()] ?? WORDS.en;
    }

    #draw() {
      clearTimeout(this.#timer);
      this.#isReady = false;
      this.#heard.clear();
      this.#frame = null;
      if (!this.#token) {
        this.#root.replaceChildren(document.createElement("slot")); // no token yet: what the store wrote inside
        return;
      }
      if (this.getAttribute("mode") === "page") {
        this.#link();
        return;
      }
      const frame = document.createElement("iframe");
      frame.title = this.#words[1];
      frame.referrerPolicy = "origin";
      frame.allow = "clipboard-write";
      frame.addEventListener("load", () => {
        frame.contentWindow?.postMessage({ stableCheckout: 1, type: "hello" }, home);
        if (!this.#isReady) this.#giveUpIn(LOADED_MS); // loaded, and silent: refused, or not ours
      });
      frame.src = `${base}/embed/${this.#token}?place=frame`;
      this.#frame = frame;
      this.#root.replaceChildren(frame);
      this.#giveUpIn(READY_MS);
    }

    #giveUpIn(ms) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#link();
        this.#say("error", {});
      }, ms);
    }

    #link() {
      const link = document.createElement("a");
      link.href = `${base}/pay/${this.#token}`;
      link.part = "link";
      link.textContent = this.#words[0];
      this.#frame = null;
      this.#root.replaceChildren(link);
    }

    #hear = (event) => {
      if (!this.#frame || event.source !== this.#frame.contentWindow || event.origin !== home) return;
      const said = event.data;
      if (said?.stableCheckout !== 1) return;
      if (said.type === "resize") {
        if (Number.isFinite(said.height)) this.#frame.height = Math.min(Math.max(said.height, 160), 6000);
        return;
      }
      if (!NEWS.includes(said.type)) return;
      if (said.type === "ready") {
        clearTimeout(this.#timer);
        this.#isReady = true;
      }
      const news = `${said.type} ${said.status}`;
      if (this.#heard.has(news)) return; // a page that was loaded again says it again
      if (["submitted", "paid", "failed"].includes(said.type)) this.#heard.add(news);
      this.#say(said.type, said);
    };

    #say(type, { payment_id: paymentId = null, status = null }) {
      this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail: { paymentId, status } }));
    }
  }

  customElements.define("stable-checkout", StableCheckout);
})();
