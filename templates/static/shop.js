// Keeps the order page up to date: asks for the page again and puts in what has changed.
"use strict";
(() => {
  const WAITS_S = [1, 1, 1.5, 2, 2, 3, 5, 8, 15, 30];
  const GIVE_UP_AT = 200;
  let asked = 0;
  const order = () => document.querySelector("#order[data-watch]");

  const replaced = (fresh, page) => {
    const now = order();
    // The verdict's words go into the element that is there, so that a screen reader hears the change.
    const verdict = now.querySelector("#verdict");
    const said = fresh.querySelector("#verdict");
    if (verdict.textContent.trim() !== said.textContent.trim()) verdict.innerHTML = said.innerHTML;
    now.querySelector("[data-tone]").dataset.tone = fresh.querySelector("[data-tone]").dataset.tone;
    for (const part of [".badge", ".actions", ".told"]) {
      const [old, next] = [now.querySelector(part), fresh.querySelector(part)];
      if (old.innerHTML !== next.innerHTML && !old.contains(document.activeElement)) old.innerHTML = next.innerHTML;
    }
    const [head, newHead] = [document, page].map((one) => one.querySelector(".shop-head"));
    if (!head.contains(document.activeElement)) head.innerHTML = newHead.innerHTML; // the basket's count
    now.dataset.version = fresh.dataset.version;
    if (!("watch" in fresh.dataset)) delete now.dataset.watch;
  };

  const turn = async () => {
    if (document.hidden) {
      document.addEventListener("visibilitychange", turn, { once: true });
      return;
    }
    asked += 1;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("#order");
      if (fresh && fresh.dataset.version !== order().dataset.version) {
        asked = 0;
        document.title = page.title;
        replaced(fresh, page);
      }
    } catch {
      // No answer is no news: ask again later.
    }
    if (order() && asked < GIVE_UP_AT) next();
  };
  const next = () => setTimeout(turn, WAITS_S[Math.min(asked, WAITS_S.length - 1)] * 1000);
  if (order()) next();
})();
