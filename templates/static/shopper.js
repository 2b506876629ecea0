// What a page does by itself, where there is a script. Without it every page works by links and refreshes.
"use strict";
(() => {
  const page = document.querySelector("main[data-page]");
  if (!page) return;
  const find = (selector) => page.querySelector(selector);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const LEAVE_MS = 5000;
  const WAITS_S = [2, 2, 3, 4, 5, 8, 13, 20, 30, 60];
  const SLOW_FROM = 7;
  const GIVE_UP_AT = 120;

  // Go on by itself, once: not after "back", not while unseen, not where somebody reads, types or wants calm.
  const leaveSoon = () => {
    const link = find('a[data-role="onward"]');
    const note = find("[data-leaving]");
    if (!link || !note || calm || history.state?.left) return;
    const acts = ["keydown", "pointerdown", "wheel", "touchstart", "focusin"];
    let timer = 0;
    const stay = () => {
      clearTimeout(timer);
      note.hidden = true;
      acts.forEach((act) => removeEventListener(act, stay));
    };
    const start = () => {
      clearTimeout(timer);
      if (!document.hidden && !note.hidden) timer = setTimeout(go, LEAVE_MS);
    };
    const go = () => {
      history.replaceState({ left: true }, "");
      location.assign(link.href);
    };
    page.dataset.leaves = ""; // the note keeps its place when it goes: a button must not move under a finger
    note.hidden = false;
    acts.forEach((act) => addEventListener(act, stay, { passive: true }));
    document.addEventListener("visibilitychange", start);
    addEventListener("pagehide", stay);
    start();
  };

  const say = (name, text) => {
    const place = find(`[data-say="${name}"]`);
    if (place.textContent !== (text || "")) place.textContent = text || "";
    place.hidden = !text;
  };

  // Shorter news must not pull up what stands below it.
  const hold = (part) => {
    if (part) part.style.minHeight = `${part.getBoundingClientRect().height}px`;
  };

  const show = (news) => {
    hold(page);
    hold(find('[role="status"]'));
    page.dataset.tone = news.tone;
    ["heading", "text", "aside"].forEach((name) => say(name, news[name]));
    document.title = news.heading;
    if (!news.final) return false;
    const onward = find('a[data-role="onward"]');
    if (!news.paid || !onward || !news.onward_url) {
      location.reload(); // other ways on: the server knows them
      return true;
    }
    onward.href = news.onward_url;
    onward.classList.replace("quiet", "main");
    page.querySelectorAll('a[data-role="check"], [data-slow], .steps').forEach((part) => part.remove());
    leaveSoon();
    return true;
  };

  // Ask, wait longer each time, and stop asking at last; "check now" stays on the page for whoever comes back.
  const watch = (ask) => {
    let asked = 0;
    const next = () => {
      const wait = WAITS_S[Math.min(asked, WAITS_S.length - 1)];
      setTimeout(turn, wait * 1000 * (1 + Math.random() / 5));
    };
    const turn = async () => {
      if (document.hidden) {
        document.addEventListener("visibilitychange", turn, { once: true });
        return;
      }
      asked += 1;
      const slow = find("[data-slow]");
      if (slow && asked >= SLOW_FROM) slow.hidden = false;
      let done = false;
      try {
        done = await ask();
      } catch {
        // No answer is no news: ask again later.
      }
      if (!done && asked < GIVE_UP_AT) next();
    };
    next();
  };

  const fetched = async (kind) => {
    const answer = await fetch(page.dataset.poll, { cache: "no-store", headers: { Accept: kind } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  };

  find("[data-print]")?.addEventListener("click", () => window.print());

  // A second press while the first is under way would open nothing new; this only says that it was heard.
  page.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => page.querySelectorAll("form").forEach((form) => delete form.dataset.sent));

  if (page.dataset.page === "return" && page.dataset.poll) {
    watch(async () => show(await (await fetched("application/json")).json()));
  } else if (page.dataset.page === "preparing") {
    watch(async () => {
      const changed = !(await (await fetched("text/html")).text()).includes('data-page="preparing"');
      if (changed) location.replace(page.dataset.poll);
      return changed;
    });
  } else if ("leaves" in page.dataset) {
    leaveSoon();
  }
})();
