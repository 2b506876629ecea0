// The widget's own calls. A call that gets no answer is not a refusal: the session is asked again.

const TIMEOUT_MS = 15_000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Wire {
  constructor(baseUrl) {
    this.base = String(baseUrl).replace(/\/+$/, "");
  }

  session(ident) {
    return this.#ask("GET", ident, "");
  }

  pay(ident, order) {
    return this.#ask("POST", ident, "/payments", order);
  }

  leave(ident) {
    return this.#ask("POST", ident, "/exit", {});
  }

  async #ask(method, ident, path, body) {
    const answer = await fetch(`${this.base}/widget/sessions/${encodeURIComponent(ident)}${path}`, {
      method,
      mode: "cors",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refused(answer.status, content.message ?? "");
    return content;
  }
}
