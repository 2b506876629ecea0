// The widget's look, as a constructed style sheet: a page whose policy forbids inline styles shows it all the same.

const TEXT = `
:host {
  --surface: #ffffff; --sunken: #f5f8f7; --ink: #12211d; --soft: #50635c; --line: #d9e3df; --edge: #71857e;
  --main: #0b6b57; --main-strong: #085444; --on-main: #ffffff; --main-soft: #e0f1ec;
  --warn: #744600; --warn-soft: #fdf1d8; --bad: #9f1f2c; --bad-soft: #fbe9eb;
  --text: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Consolas, "Liberation Mono", monospace;
  color-scheme: light dark; display: block; max-width: 30rem; margin-inline: auto;
}
:host([hidden]) { display: none; }
@media (prefers-color-scheme: dark) {
  :host {
    --surface: #131c19; --sunken: #192420; --ink: #e9f1ee; --soft: #a3b5ae; --line: #283631; --edge: #71867e;
    --main: #5fd3b3; --main-strong: #8be2ca; --on-main: #04241c; --main-soft: #143129;
    --warn: #f4c97e; --warn-soft: #33270f; --bad: #ff9da5; --bad-soft: #3b1a1e;
  }
}
*, *::before, *::after { box-sizing: border-box; }
.gateway { background: var(--surface); color: var(--ink); border: 1px solid var(--line); border-radius: 1.25rem; overflow: hidden; font: 400 1rem/1.5 var(--text); text-align: start; overflow-wrap: anywhere; }
h2, h3, p, dl, dd, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
.top { display: flex; align-items: center; gap: .625rem; padding: .75rem clamp(1rem, 5vw, 1.5rem); border-bottom: 1px solid var(--line); background: var(--sunken); font-size: .875rem; }
.top b { font-weight: 680; }
.top .tag { margin-inline-start: auto; padding: .125rem .5rem; border-radius: 1rem; background: var(--warn-soft); color: var(--warn); font-weight: 600; white-space: nowrap; }
.logo { flex: none; width: 1.5rem; height: 1.5rem; fill: none; stroke: var(--on-main); stroke-width: 2.5; stroke-linecap: round; stroke-linejoin: round; }
.logo rect { fill: var(--main); stroke: none; }
.screen { display: grid; gap: 1rem; padding: clamp(1rem, 5vw, 1.5rem); }
h2 { font-size: 1.1875rem; line-height: 1.3; font-weight: 680; letter-spacing: -.01em; text-wrap: balance; }
h2:focus { outline: none; }
h2 + p { margin-top: .25rem; color: var(--soft); }
.amount { display: block; font-size: 1.875rem; line-height: 1.2; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.small { font-size: .875rem; color: var(--soft); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; border-radius: .375rem; }
legend, label.title { display: block; color: var(--ink); padding: 0; margin-bottom: .5rem; font-size: .9375rem; font-weight: 650; }
.choices { border: 1px solid var(--edge); border-radius: .75rem; overflow: hidden; }
.choice { display: flex; align-items: center; gap: .75rem; min-height: 3rem; padding: .5rem .75rem; cursor: pointer; }
.choice + .choice { border-top: 1px solid var(--line); }
.choice:hover { background: var(--sunken); }
.choice:has(:checked) { background: var(--main-soft); }
.choice:has(:focus-visible) { outline: 3px solid var(--main); outline-offset: -3px; }
.choice :focus-visible { outline: none; }
.choice input { flex: none; width: 1.25rem; height: 1.25rem; margin: 0; accent-color: var(--main); }
.choice span { font-weight: 550; }
.field { width: 100%; min-height: 3rem; padding: .5rem .75rem; border: 1px solid var(--edge); border-radius: .75rem; background: var(--surface); color: var(--ink); font: 550 1.125rem/1.3 var(--text); font-variant-numeric: tabular-nums; }
.problem { padding: .75rem; border-radius: .75rem; background: var(--bad-soft); color: var(--bad); font-size: .9375rem; }
.problem:empty { display: none; }
.acts { display: grid; gap: .5rem; }
button { min-height: 3rem; padding: .5rem 1rem; border: 1px solid transparent; border-radius: .75rem; font: 620 1rem/1.3 var(--text); text-align: center; cursor: pointer; }
button[aria-disabled="true"] { cursor: progress; }
.main { background: var(--main); color: var(--on-main); }
.main:hover { background: var(--main-strong); }
.quiet { background: transparent; border-color: var(--edge); color: var(--ink); }
.quiet:hover { background: var(--sunken); }
.link { min-height: 2.75rem; background: none; color: var(--main); text-decoration: underline; text-underline-offset: .2em; }
.facts > div { display: grid; grid-template-columns: 1fr auto; gap: 0 .75rem; align-items: center; padding: .5rem 0; border-top: 1px solid var(--line); }
.facts dt { grid-column: 1 / -1; color: var(--soft); font-size: .875rem; }
.facts dd { grid-column: 1; }
.facts dd + dd { grid-column: 2; }
.code { font-family: var(--mono); font-size: .9375rem; }
.copy { min-height: 2.25rem; padding: .25rem .75rem; font-size: .875rem; }
.disc { width: 2.75rem; height: 2.75rem; margin-bottom: .75rem; padding: .6875rem; border-radius: 50%; background: var(--main-soft); fill: none; stroke: var(--main); stroke-width: 2.25; stroke-linecap: round; stroke-linejoin: round; }
[data-tone="notice"] .disc { background: var(--warn-soft); stroke: var(--warn); }
[data-tone="bad"] .disc { background: var(--bad-soft); stroke: var(--bad); }
.bank { border: 2px solid var(--edge); border-radius: .75rem; padding: 1rem; display: grid; gap: 1rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { button { border-color: currentcolor; } }
`;

export const look = () => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(TEXT);
  return sheet;
};
