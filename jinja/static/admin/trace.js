// Trace of one event as a waterfall: when it passed each step, and how long after it was accepted.
import { callApi } from "../api.js";
import { formatCount } from "../plurals.js";
import { byId, el, formatPreciseTime, setText, shortId } from "./dom.js";

const SEPARATE_FIELDS = new Set(["name", "at"]); // shown in columns of their own

function formatStepDetails(step) {
  return Object.entries(step).filter(([name, value]) => !SEPARATE_FIELDS.has(name) && value !== null)
    .map(([name, value]) => `${name} ${typeof value === "string" && value.length > 20 ? shortId(value) : value}`).join(", ");
}

function formatElapsed(ms) {
  return ms < 1000 ? `+${ms} ms` : `+${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

// The bar starts at the previous step, so its length is the time this step took.
function durationBar(fromMs, toMs, totalMs) {
  const box = el("div", { class: "trace-bar", "aria-hidden": "true" }, el("span"));
  box.firstChild.style.setProperty("inset-inline-start", `${(fromMs / totalMs) * 100}%`);
  box.firstChild.style.setProperty("inline-size", `${Math.max(0.6, ((toMs - fromMs) / totalMs) * 100)}%`);
  return box;
}

function waterfallRows(steps) {
  const times = steps.map((step) => new Date(step.at).getTime());
  const [first, last] = [times[0], times[times.length - 1]];
  const totalMs = Math.max(1, last - first);
  return steps.map((step, index) => el("tr", {},
    el("th", { scope: "row" }, step.name),
    el("td", { class: "numeric", title: formatPreciseTime(step.at) }, formatElapsed(times[index] - first)),
    el("td", { class: "trace-bar-cell" }, durationBar((times[Math.max(0, index - 1)] - first), times[index] - first, totalMs)),
    el("td", { class: "muted" }, formatStepDetails(step))));
}

export async function showTrace(eventId) {
  const result = byId("trace-result");
  byId("trace-id").value = eventId;
  try {
    const { steps } = await callApi("GET", `/api/admin/trace/${encodeURIComponent(eventId)}`);
    byId("trace").replaceChildren(...waterfallRows(steps));
    byId("trace-table").hidden = false;
    setText(result, `${formatCount(steps.length, "step")} of ${eventId}, the first at ${formatPreciseTime(steps[0].at)}`);
  } catch (error) {
    byId("trace-table").hidden = true;
    setText(result, error.message);
  }
}

export function startTrace() {
  byId("trace-form").addEventListener("submit", (event) => {
    event.preventDefault();
    showTrace(byId("trace-id").value.trim());
  });
}
