// The widget's page: brings the provider's element to life, asks our own service how things stand, and tells the
// store's page that frames us, if it is one of the store's own. What the widget says is never taken for a payment.
const page = document.querySelector("main[data-page]");
const data = page.dataset;
const find = (selector) => page.querySelector(selector);
const framed = window.parent !== window;
const WAITS_S = [3, 3, 4, 5, 5, 8, 13, 20, 30, 60];
const ASKED_MAX = 400;
const LOAD_MS = 20000;

// The store's page: nobody, until it has said hello from one of its own origins.
let listener = "";
let pending = [];

const tell = (type, more) => {
  const message = { stableCheckout: 1, type, payment_id: data.payment, status: data.status, ...more };
  if (listener) window.parent.postMessage(message, listener);
  else if (framed && type !== "resize") pending.push(message);
};

const tellHeight = () => tell("resize", { height: Math.ceil(document.body.getBoundingClientRect().height) });

const tellStanding = () => {
  if ("paid" in data) tell("paid");
  else if ("final" in data) tell("failed");
  else if (data.status === "submitted") tell("submitted");
};

if (framed) {
  const allowed = data.frameOrigins.split(" ").filter(Boolean);
  addEventListener("message", (event) => {
    const said = event.data;
    if (event.source !== window.parent || !allowed.includes(event.origin)) return;
    if (said?.stableCheckout !== 1 || said.type !== "hello" || listener === event.origin) return;
    listener = event.origin;
    tell("ready");
    tellHeight();
    pending.splice(0).forEach((message) => window.parent.postMessage(message, listener));
  });
  new ResizeObserver(tellHeight).observe(document.body);
}

const say = (name, text) => {
  const place = find(`[data-say="${name}"]`);
  if (place.textContent !== (text || "")) place.textContent = text || "";
  place.hidden = !text;
};

let asks = find('[data-say="text"]').textContent; // what to do in the form
const show = (name) => {
  const status = find('[role="status"]'); // keeps its height: nothing below it moves when it says less by itself
  status.style.minHeight = name === "left" ? "" : `${status.getBoundingClientRect().height}px`;
  say("text", name === "widget" ? asks : find(`[data-panel="${name}"]`)?.dataset.advice);
  page.querySelectorAll("[data-panel]").forEach((panel) => {
    panel.hidden = panel.dataset.panel !== name;
  });
  find(`[data-panel="${name}"] h2`)?.focus();
};

// That the shopper has sent a transfer outlives a reload; it is a note to ourselves and proves nothing.
const note = `sent ${data.payment}`;
const remember = (sent) => {
  try {
    if (sent) sessionStorage.setItem(note, "1");
    else sessionStorage.removeItem(note);
  } catch {
    // Storage can be refused in a frame: then a reload shows the form again.
  }
};
const remembered = () => {
  try {
    return sessionStorage.getItem(note) !== null;
  } catch {
    return false;
  }
};

// Our own word for how things stand.
const hear = (news) => {
  const changed = news.status !== data.status;
  data.status = news.status;
  if (news.final) {
    remember(false);
    if (!news.paid) {
      location.reload(); // other ways on: the server knows them, and tells the store's page
      return true;
    }
    data.paid = data.final = "";
    tell("paid");
    if (!framed && data.done) {
      location.replace(data.done);
      return true;
    }
    page.querySelectorAll("[data-panel], .steps, noscript").forEach((part) => part.remove());
    page.dataset.tone = news.tone;
    ["heading", "text", "aside"].forEach((name) => say(name, news[name]));
    document.title = news.heading;
    const onward = find('a[data-role="onward"]');
    if (onward && news.onward_url) {
      onward.href = news.onward_url;
      onward.classList.replace("quiet", "main");
    }
    find('a[data-role="check"]')?.remove();
    return true;
  }
  if (changed && news.status === "submitted") {
    ["heading", "text", "aside"].forEach((name) => say(name, news[name]));
    asks = news.text;
    page.dataset.tone = news.tone;
    tell("submitted"); // the form stays: it may show where to send the money
  }
  return false;
};

const watch = () => {
  let asked = 0;
  const turn = async () => {
    if (document.hidden) {
      document.addEventListener("visibilitychange", turn, { once: true });
      return;
    }
    asked += 1;
    let done = false;
    try {
      const answer = await fetch(data.poll, { cache: "no-store", headers: { Accept: "application/json" } });
      if (answer.ok) done = hear(await answer.json());
    } catch {
      // No answer is no news: ask again later.
    }
    if (!done && asked < ASKED_MAX) next();
  };
  const next = () => setTimeout(turn, WAITS_S[Math.min(asked, WAITS_S.length - 1)] * 1000 * (1 + Math.random() / 5));
  next();
};

let broken = false;
const trouble = () => {
  broken = true;
  tell("error");
  if (!find('[data-panel="widget"]')?.hidden) show("trouble"); // who reads what happens next is left in peace
};

const soon = (promise) =>
  Promise.race([promise, new Promise((_, refuse) => setTimeout(refuse, LOAD_MS, new Error("too late")))]);

const start = async () => {
  const widget = find("stable-payment-gateway");
  const submitted = () => {
    remember(true);
    tell("submitted");
    show("submitted");
  };
  widget.addEventListener("exit", () => {
    tell("exit");
    if (!framed && data.exit) location.assign(data.exit);
    else show("left");
  });
  widget.addEventListener("manual-success-primary-click", submitted);
  widget.addEventListener("manual-success-secondary-click", submitted);
  try {
    const { register } = await soon(import(data.module));
    await soon(Promise.resolve(register({ baseUrl: data.apiBase })));
    await soon(customElements.whenDefined("stable-payment-gateway"));
    find("[data-loading]")?.remove();
  } catch {
    trouble();
  }
};

page.addEventListener("click", (event) => {
  const wanted = event.target.closest("[data-do]")?.dataset.do;
  if (wanted === "reload") location.reload();
  if (wanted === "resume") {
    remember(false);
    show(broken ? "trouble" : "widget");
  }
});

tellStanding();
if (data.module) {
  if (remembered()) show("submitted");
  start();
}
if (data.poll && data.page === "embed") watch();
