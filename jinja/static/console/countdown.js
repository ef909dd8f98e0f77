// An element with data-due="..." counts down; one clock for all of them.
import { clock, el, say } from "./dom.js";

function left(due, now) {
  const remaining = Math.ceil((new Date(due).getTime() - now) / 1000);
  return remaining > 0 ? `${clock(due)} (in ${remaining} s)` : "due now";
}

export function until(due) {
  return el("span", { "data-due": due }, left(due, Date.now()));
}

function tick() {
  const now = Date.now();
  for (const one of document.querySelectorAll("[data-due]")) say(one, left(one.dataset.due, now));
}

setInterval(tick, 1000);
