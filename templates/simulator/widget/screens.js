// One function per screen: what there is to see and press. Nothing here talks to the provider.
// A button says what it does in data-act; the element does it.

import { MANUAL, OPEN_BANKING } from "./attributes.js";

const SVG = "http://www.w3.org/2000/svg";
const DRAWINGS = {
  good: "m5 12.8 4.6 4.6L19.2 7",
  bad: "m6.8 6.8 10.4 10.4M17.2 6.8 6.8 17.2",
  notice: "M12 7.2V12l3.2 2M20.5 12a8.5 8.5 0 1 1-17 0 8.5 8.5 0 0 1 17 0",
};
const METHOD_NAMES = { [OPEN_BANKING]: "Pay with your bank", [MANUAL]: "Make a bank transfer yourself" };

// An element with attributes and children; text is always text, never markup.
export const make = (tag, attributes = {}, ...children) => {
  const drawn = ["svg", "path", "rect"].includes(tag);
  const made = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined && one !== false));
  return made;
};

const button = (act, look, ...content) => make("button", { type: "button", class: look, "data-act": act }, ...content);
const heading = (...content) => make("h2", { tabindex: "-1" }, ...content);
const disc = (tone) =>
  make("svg", { class: "disc", viewBox: "0 0 24 24", "aria-hidden": "true" }, make("path", { d: DRAWINGS[tone] }));
const notice = (tone, title, text, ...rest) =>
  make("div", { class: "screen", "data-tone": tone },
    make("div", {}, disc(tone), heading(title), make("p", {}, text)),
    ...rest);

export const money = (amount, currency) => {
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).format(amount);
  } catch {
    return `${amount} ${currency}`; // a currency the browser does not know
  }
};

export const top = () =>
  make("div", { class: "top" },
    make("svg", { class: "logo", viewBox: "0 0 32 32", "aria-hidden": "true" },
      make("rect", { width: "32", height: "32", rx: "9" }), make("path", { d: "M9 21V12l7 5 7-5v9" })),
    make("b", {}, "Stable Mint"),
    make("span", { class: "tag" }, "Sandbox"));

export const loading = () => make("div", { class: "screen" }, make("p", { class: "small" }, "Loading your payment…"));

// What is paid: an amount the session or the page knows, or a field to ask for it.
const asked = (view) =>
  view.amount !== null
    ? heading(make("span", { class: "small" }, `You pay ${view.merchant}`), make("span", { class: "amount" }, money(view.amount, view.currency)))
    : make("div", {},
        heading(`How much do you pay ${view.merchant}?`),
        make("p", {}, make("label", { class: "title", for: "amount" }, `Amount in ${view.currency}`),
          make("input", {
            class: "field", id: "amount", name: "amount", inputmode: "decimal", autocomplete: "transaction-amount",
            required: true, value: view.typed, "aria-describedby": "problem",
          })));

const radios = (name, title, options, chosen) =>
  make("fieldset", {},
    make("legend", {}, title),
    make("div", { class: "choices" },
      ...options.map(([value, text]) =>
        make("label", { class: "choice" },
          make("input", { type: "radio", name, value, checked: value === chosen }), make("span", {}, text)))));

const region = (country) => {
  try {
    return ` in ${new Intl.DisplayNames("en", { type: "region" }).of(country)}`;
  } catch {
    return "";
  }
};

export const choose = (view) => {
  const named = (banks) => banks.map((bank) => [bank.id, bank.name]);
  const byBank = view.method === OPEN_BANKING;
  const title = view.saved.length > 0 ? "Other banks" : `Choose your bank${region(view.country)}`;
  return make("div", { class: "screen" },
    asked(view),
    view.methods.length > 1 && radios("method", "How do you want to pay?", view.methods.map((one) => [one, METHOD_NAMES[one]]), view.method),
    byBank && view.saved.length > 0 && radios("bank", "Banks you have used", named(view.saved), view.bank),
    byBank && radios("bank", title, named(view.others), view.bank),
    make("p", { class: "problem", id: "problem", role: "alert" }, view.problem),
    make("div", { class: "acts" },
      button("next", "main", byBank ? "Continue to your bank" : "Show the transfer details"),
      button("exit", "link", "Cancel and go back")));
};

// The bank itself, mocked inside the widget: where a real one would ask for the shopper's approval.
export const bank = (view) =>
  make("div", { class: "screen" },
    make("div", { class: "bank" },
      make("div", {}, heading(view.bankName), make("p", {}, "A simulated bank. Nobody has an account here, and no real money moves.")),
      make("p", {}, "Approve ", make("b", {}, money(view.amount, view.currency)), ` to ${view.merchant}?`),
      make("div", { class: "acts" },
        button("pay", "main", `Approve ${money(view.amount, view.currency)}`),
        button("fail", "quiet", "Let the bank refuse"),
        button("leave", "quiet", "Leave the bank"))),
    make("p", { class: "problem", role: "alert" }, view.problem),
    button("back", "link", "Choose another bank"));

const transfer = (view) =>
  make("dl", { class: "facts" },
    ...[
      ["Amount", money(view.amount, view.currency), view.amount],
      ["Account holder", view.account.holder, view.account.holder],
      ["IBAN", view.account.iban, view.account.iban.replaceAll(" ", "")],
      ["BIC", view.account.bic, view.account.bic],
      ["Message to the recipient", view.reference, view.reference],
    ].map(([name, shown, copied]) =>
      make("div", {},
        make("dt", {}, name),
        make("dd", { class: "code" }, shown),
        make("dd", {},
          make("button", { type: "button", class: "quiet copy", "data-act": "copy", "data-text": copied },
            "Copy", make("span", { class: "unseen" }, ` ${name.toLowerCase()}`))))));

export const manual = (view) =>
  make("div", { class: "screen" },
    make("div", {},
      heading("Send this transfer from your bank"),
      make("p", {}, "Copy the message exactly: it is how your transfer is recognised.")),
    transfer(view),
    make("p", { class: "problem", role: "alert" }, view.problem),
    make("div", { class: "acts" },
      button("sent", "main", "I have sent it"),
      button("secondary", "quiet", "I will send it later"),
      view.methods.length > 1 && button("back", "link", "Pay another way")));

const done = (primary, secondary) =>
  make("div", { class: "acts" }, button("primary", "main", primary), button("secondary", "quiet", secondary));

export const announced = (view) =>
  notice("notice", "Waiting for your transfer",
    `${view.merchant} is told when it arrives. That can take a working day; you need not stay here.`,
    transfer(view), done("Done", "Back to the shop"));

export const paid = (view) =>
  notice("good", "Payment sent",
    `${money(view.amount, view.currency)} is on its way to ${view.merchant}.`,
    make("p", { class: "small" }, "Reference ", make("span", { class: "code" }, view.reference)),
    done("Continue", "Back to the shop"));

export const refused = () =>
  notice("bad", "Your bank refused the payment", "Nothing was taken. You can try again, also with another bank.",
    make("div", { class: "acts" }, button("back", "main", "Try again"), button("exit", "quiet", "Cancel and go back")));

export const expired = () =>
  notice("notice", "This payment session has expired", "Nothing was taken. Go back to the shop to start again.",
    make("div", { class: "acts" }, button("exit", "main", "Back to the shop")));

export const unknown = () =>
  notice("bad", "This payment session is not known", "Nothing was taken. Go back to the shop to start again.",
    make("div", { class: "acts" }, button("exit", "main", "Back to the shop")));

export const silent = () =>
  notice("bad", "No answer", "The payment service cannot be reached. Nothing is lost; look again in a moment.",
    make("div", { class: "acts" }, button("reload", "main", "Look again"), button("exit", "quiet", "Cancel and go back")));
