// Predictions before a card, with what would tell the answer below it, and code that scrolls by keyboard. Without this script
// every card is simply there.

"use strict";

function comparison(guess, form) {
  const { told, unit } = form.dataset;
  const value = Number(form.dataset.value);
  if (guess === value) return `Exactly: ${told} was measured.`;
  if (unit === "status") return `You said ${guess}; ${told} was measured.`;
  const [low, high] = [Math.min(guess, value), Math.max(guess, value)];
  if (low <= 0) return `You said ${guess}; ${told} was measured.`;
  const times = high / low;
  if (times < 1.1) return `Close: you said ${guess}, and ${told} was measured.`;
  const factor = times < 10 ? times.toFixed(1) : Math.round(times).toLocaleString("en");
  return `You said ${guess}; ${told} was measured, ${factor} times as ${guess < value ? "much" : "little"}.`;
}

function predict(form) {
  const card = document.getElementById(form.dataset.card);
  const { card: id, asked } = form.dataset;
  const below = (one) => card.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
  const telling = document.querySelectorAll(`[data-figure-of="${id}"], a[href="#${id}"][title*="${asked}"]`);
  const covered = [card, ...[...telling].filter(below)];
  const reveal = () => covered.forEach((one) => one.removeAttribute("data-covered"));
  const here = () => location.hash === `#${card.id}`;
  const open = () => {
    reveal();
    form.hidden = true;
  };
  if (here()) return;
  form.hidden = false;
  covered.forEach((one) => (one.dataset.covered = ""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    form.querySelector("output").textContent = comparison(form.querySelector("input").valueAsNumber, form);
    reveal();
  });
  form.querySelector(".pg-skip").addEventListener("click", open);
  addEventListener("hashchange", () => here() && open());
}

document.querySelectorAll("form.pg-predict").forEach(predict);

// A box that scrolls sideways must be reachable without a mouse.
for (const box of document.querySelectorAll("article pre, article .table-wrapper, .pg-claim")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}
