// Services and processes: up or not, how fast, how long ago they gave a sign of life.
import { byId, el, reconcile, say, seconds } from "./dom.js";

const NAMES = { redis: "Redis", postgres: "PostgreSQL", kafka: "Kafka", dynamodb: "DynamoDB", web: "Web" };
const SILENT_SECONDS = 10;

export async function ready() {
  const began = performance.now();
  const answer = await fetch("/ready", { headers: { Accept: "application/json" } });
  const said = await answer.json();
  const web = { state: said.success ? "up" : "degraded", latencyMs: Math.round((performance.now() - began) * 10) / 10 };
  return { ...said.dependencies, web };
}

function card([name]) {
  return el("li", { class: "service" },
    el("h3", {}, NAMES[name] ?? name),
    el("p", { class: "state", "data-part": "state" }),
    el("p", { class: "muted", "data-part": "more" }),
    el("div", { class: "switches", "data-part": "switches" }));
}

function paint(box, [name, { state, latencyMs, breaker, reason }]) {
  const part = (which) => box.querySelector(`[data-part="${which}"]`);
  box.dataset.service = name;
  box.dataset.state = state;
  say(part("state"), state);
  const more = [];
  if (latencyMs !== null && latencyMs !== undefined) more.push(`${latencyMs} ms`);
  if (breaker) more.push(`breaker ${typeof breaker === "string" ? breaker : Object.entries(breaker).map(([who, how]) => `${who}: ${how}`).join(", ")}`);
  if (reason) more.push(reason);
  say(part("more"), more.join(" · ") || "no answer");
}

export function paintServices(found) {
  const order = ["web", "redis", "kafka", "postgres", "dynamodb"];
  const rest = Object.keys(found).filter((name) => !order.includes(name));
  const shown = [...order.filter((name) => found[name]), ...rest].map((name) => [name, found[name]]);
  reconcile(byId("services"), shown, ([name]) => name, card, paint);
}

export function paintWorkers(ages, silentLoops) {
  const body = byId("workers");
  const beats = Object.entries(ages);
  const unheard = silentLoops.filter((loop) => !beats.some(([name]) => name.startsWith(`${loop}:`)));
  const rows = [...beats, ...unheard.map((loop) => [loop, null])].sort();
  byId("no-workers").hidden = rows.length > 0;
  reconcile(body, rows, ([name]) => name,
    ([name]) => el("tr", {}, el("th", { scope: "row" }, name.split(":")[0]), el("td", {}, name.split(":")[1] ?? ""), el("td", {}), el("td", {})),
    (row, [, age]) => {
      const silent = age === null || age > SILENT_SECONDS;
      say(row.children[2], age === null ? "none" : `${seconds(age)} ago`);
      say(row.children[3], silent ? "silent" : "alive");
      row.dataset.state = silent ? "down" : "up";
    });
}
