// What the page bound to the element. Every value is text; anything may be missing or strange.

export const NAMES = [
  "session-id", "currency", "country", "deposit-amount", "allowed-payment-methods", "saved-banks", "payment-method",
  "site-id",
];
export const OPEN_BANKING = "OpenBanking";
export const MANUAL = "ManualBankTransfer";
const METHODS = [OPEN_BANKING, MANUAL];
const MISSING = new Set(["", "null", "undefined"]); // what templates print for nothing

// JSON text, also when it was made into text twice; undefined for what is not JSON.
const parsed = (text) => {
  let value = text;
  for (let round = 0; round < 2 && typeof value === "string"; round += 1) {
    try {
      value = JSON.parse(value);
    } catch {
      return undefined;
    }
  }
  return value;
};

// Saved banks in any of the shapes they may come in: a list, one bank, or an object of banks by their ids.
const banks = (value) => {
  if (value === null || typeof value !== "object") return [];
  if (Array.isArray(value)) return value.map((one) => (typeof one === "string" ? one : one?.id)).filter(Boolean);
  return typeof value.id === "string" ? [value.id] : Object.keys(value);
};

export const read = (element) => {
  const text = (name) => {
    const value = (element.getAttribute(name) ?? "").trim();
    return MISSING.has(value) ? null : value;
  };
  const allowed = parsed(text("allowed-payment-methods"));
  const methods = Array.isArray(allowed) ? METHODS.filter((one) => allowed.includes(one)) : METHODS;
  const wanted = text("payment-method");
  const amount = text("deposit-amount");
  return {
    sessionId: text("session-id"),
    currency: text("currency"),
    country: text("country"),
    amount: amount !== null && /^[0-9]+(\.[0-9]+)?$/.test(amount) ? amount : null,
    methods: methods.length > 0 ? methods : METHODS,
    saved: banks(parsed(text("saved-banks"))),
    method: METHODS.includes(wanted) ? wanted : null,
    siteId: text("site-id"),
  };
};
