// The page of one event: loads the page again until the event has arrived. While nothing changes it asks less and less
// often, and it ends after MAX_LOADS.
import { renderExactTimes } from "./relativeTimes.js";

const FIRST_INTERVAL_MS = 700;
const MAX_INTERVAL_MS = 4000;
const GROWTH = 1.2;
const MAX_LOADS = 300; // about twenty minutes
const summary = (root) => root.querySelector("[data-event-summary]");
const isComplete = () => summary(document).dataset.complete === "yes";
let intervalMs = FIRST_INTERVAL_MS;
let loadCount = 0;

// The summary is a live region: it changes only when the text does, so that a screen reader repeats nothing.
function replaceContents(page) {
  renderExactTimes(page);
  for (const part of ["[data-hops]", "[data-event-foot]"]) {
    document.querySelector(part).replaceWith(document.adoptNode(page.querySelector(part)));
  }
  const [shown, loaded] = [summary(document), summary(page)];
  if (shown.dataset.current !== loaded.dataset.current) intervalMs = FIRST_INTERVAL_MS;
  Object.assign(shown.dataset, loaded.dataset);
  if (shown.textContent !== loaded.textContent) shown.replaceChildren(...document.adoptNode(loaded).childNodes);
}

function showError(text) {
  const line = document.querySelector("[data-event-error]");
  line.hidden = !text;
  line.textContent = text;
}

async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!response.ok || !summary(page)) throw new Error(String(response.status));
    replaceContents(page);
    showError("");
  } catch {
    showError("This page could not be refreshed. It tries again.");
  }
}

async function loop() {
  if (isComplete()) return;
  if (loadCount === MAX_LOADS) {
    showError("This page is not refreshed any more. Load it again to see what has changed.");
    return;
  }
  if (!document.hidden) {
    loadCount += 1;
    await refresh();
  }
  intervalMs = Math.min(MAX_INTERVAL_MS, intervalMs * GROWTH);
  setTimeout(loop, intervalMs);
}

setTimeout(loop, intervalMs);
