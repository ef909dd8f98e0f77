// Keeps the figures of the front page up to date. In: GET /api/figures. Out: [data-figure], and how old they are.
import { setText } from "./admin/dom.js";
import { Poller } from "./admin/poller.js";

const POLL_INTERVAL_MS = 2000;

async function refreshFigures() {
  const response = await fetch("/api/figures");
  if (!response.ok) throw new Error("The server does not answer");
  const figures = await response.json();
  for (const element of document.querySelectorAll("[data-figure]")) {
    setText(element, figures[element.dataset.figure]?.toLocaleString("en") ?? "–");
  }
}

new Poller({ intervalMs: POLL_INTERVAL_MS, poll: refreshFigures, statusElement: document.querySelector("[data-figures-status]") });
