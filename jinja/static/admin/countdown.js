// Elements with data-due="<ISO time>" show the time left. One interval timer updates all of them.
import { el, formatTime, setText } from "./dom.js";

function formatTimeLeft(due, now) {
  const seconds = Math.ceil((new Date(due).getTime() - now) / 1000);
  return seconds > 0 ? `${formatTime(due)} (in ${seconds} s)` : "due now";
}

export function countdown(due) {
  return el("span", { "data-due": due }, formatTimeLeft(due, Date.now()));
}

function updateAll() {
  const now = Date.now();
  for (const element of document.querySelectorAll("[data-due]")) setText(element, formatTimeLeft(element.dataset.due, now));
}

setInterval(updateAll, 1000);
