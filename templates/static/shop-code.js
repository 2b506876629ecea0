// Lets the shown code be copied with one press; without script it can be selected as any text.
"use strict";
for (const button of document.querySelectorAll("[data-copy]")) {
  const [label, code] = [button.firstChild, button.parentElement.querySelector("code")];
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      label.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      label.textContent = "Selected";
    }
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}
