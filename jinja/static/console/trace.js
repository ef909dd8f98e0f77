// One event's way as a waterfall: when it passed which stage, and how long after its acceptance.
import { call } from "../api.js";
import { counted } from "../words.js";
import { byId, clock, el, precise, reconcile, say, short } from "./dom.js";

const KNOWN = new Set(["name", "at"]);

function detail(step) {
  return Object.entries(step).filter(([name, value]) => !KNOWN.has(name) && value !== null)
    .map(([name, value]) => `${name} ${typeof value === "string" && value.length > 20 ? short(value) : value}`).join(", ");
}

function after(ms) {
  return ms < 1000 ? `+${ms} ms` : `+${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

// The bar begins where the step before ended: its length is how long this one let wait.
function bar(from, to, whole) {
  const box = el("div", { class: "gauge", "aria-hidden": "true" }, el("span"));
  box.firstChild.style.setProperty("inset-inline-start", `${(from / whole) * 100}%`);
  box.firstChild.style.setProperty("inline-size", `${Math.max(0.6, ((to - from) / whole) * 100)}%`);
  return box;
}

export function waterfall(steps) {
  const at = steps.map((step) => new Date(step.at).getTime());
  const [first, last] = [at[0], at[at.length - 1]];
  const whole = Math.max(1, last - first);
  return steps.map((step, place) => el("tr", {},
    el("th", { scope: "row" }, step.name),
    el("td", { class: "figure", title: precise(step.at) }, after(at[place] - first)),
    el("td", { class: "lane" }, bar((at[Math.max(0, place - 1)] - first), at[place] - first, whole)),
    el("td", { class: "muted" }, detail(step))));
}

export async function showTrace(eventId) {
  const said = byId("trace-said");
  byId("trace-id").value = eventId;
  try {
    const { steps } = await call("GET", `/api/admin/trace/${encodeURIComponent(eventId)}`);
    byId("trace").replaceChildren(...waterfall(steps));
    byId("trace-table").hidden = false;
    say(said, `${counted(steps.length, "step")} of ${eventId}, the first at ${precise(steps[0].at)}`);
  } catch (error) {
    byId("trace-table").hidden = true;
    say(said, error.message);
  }
}

export async function paintRecent() {
  const { items } = await call("GET", "/api/admin/events?limit=12");
  byId("no-recent").hidden = items.length > 0;
  reconcile(byId("recent"), items, (one) => one.eventId,
    (one) => el("li", {}, el("button", { type: "button", class: "small quiet", onclick: () => showTrace(one.eventId) }, "")),
    (line, one) => say(line.firstChild, `${one.type ?? "event"} ${short(one.eventId)} · ${one.stand}${one.steps[0] ? ` · ${clock(one.steps[0].at)}` : ""}`));
}

export function startTrace() {
  byId("trace-form").addEventListener("submit", (event) => {
    event.preventDefault();
    showTrace(byId("trace-id").value.trim());
  });
}
