// Health of services and worker processes: state, latency, circuit breakers, the age of each heartbeat, and the
// checks that failed. The server decides what is good (app/operations/health/checks.py).
import { byId, el, formatDuration, reconcileChildren, setText } from "./dom.js";

const SERVICE_NAMES = { redis: "Redis", postgres: "PostgreSQL", kafka: "Kafka", dynamodb: "DynamoDB", web: "Web" };
const SERVICE_ORDER = ["web", "redis", "kafka", "postgres", "dynamodb"];

// The dependencies of /ready, and the web process itself with the latency of this request.
export async function fetchReadiness() {
  const startedAt = performance.now();
  const response = await fetch("/ready", { headers: { Accept: "application/json" } });
  const readiness = await response.json();
  const latencyMs = Math.round((performance.now() - startedAt) * 10) / 10;
  const web = { state: readiness.success ? "up" : "degraded", latencyMs };
  return { ...readiness.dependencies, web };
}

function createServiceCard([name]) {
  return el("li", { class: "service" },
    el("h3", {}, SERVICE_NAMES[name] ?? name),
    el("p", { class: "state", "data-part": "state" }),
    el("p", { class: "muted", "data-part": "details" }),
    el("div", { class: "service-controls", "data-part": "controls" }));
}

function updateServiceCard(card, [name, { state, latencyMs, breaker, reason }]) {
  const part = (partName) => card.querySelector(`[data-part="${partName}"]`);
  card.dataset.service = name;
  card.dataset.state = state;
  setText(part("state"), state);
  const details = [];
  if (latencyMs !== null && latencyMs !== undefined) details.push(`${latencyMs} ms`);
  if (breaker) details.push(`breaker ${typeof breaker === "string" ? breaker : Object.entries(breaker).map(([process, breakerState]) => `${process}: ${breakerState}`).join(", ")}`);
  if (reason) details.push(reason);
  const text = details.join(" · ") || "no answer";
  setText(part("details"), text);
  part("details").title = text; // one line on the card
}

export function renderServices(services) {
  const otherNames = Object.keys(services).filter((name) => !SERVICE_ORDER.includes(name));
  const entries = [...SERVICE_ORDER.filter((name) => services[name]), ...otherNames].map((name) => [name, services[name]]);
  reconcileChildren(byId("services"), entries, ([name]) => name, createServiceCard, updateServiceCard);
}

export function renderProblems(problems) {
  byId("no-problems").hidden = problems.length > 0;
  reconcileChildren(byId("problems"), problems, ({ stage, check }) => `${stage} ${check}`,
    ({ level }) => el("li", { "data-level": level }, ""),
    (item, { stage, check, value, level, hint }) => {
      item.dataset.level = level;
      setText(item, `${level}: ${stage}, ${check}: ${value}. ${hint}`);
    });
}

// `heartbeatAges`: "loop:process id" -> seconds since the last heartbeat. `missingLoops`: loops that should run and have none.
export function renderWorkers(heartbeatAges, missingLoops) {
  const heartbeats = Object.entries(heartbeatAges);
  const loopsWithoutHeartbeat = missingLoops.filter((loop) => !heartbeats.some(([name]) => name.startsWith(`${loop}:`)));
  const rows = [...heartbeats, ...loopsWithoutHeartbeat.map((loop) => [loop, null])].sort();
  byId("no-workers").hidden = rows.length > 0;
  reconcileChildren(byId("workers"), rows, ([name]) => name,
    ([name]) => el("tr", {}, el("th", { scope: "row" }, name.split(":")[0]), el("td", {}, name.split(":")[1] ?? ""), el("td", {}), el("td", {})),
    (row, [name, ageSeconds]) => {
      const isSilent = missingLoops.includes(name.split(":")[0]);
      setText(row.children[2], ageSeconds === null ? "none" : `${formatDuration(ageSeconds)} ago`);
      setText(row.children[3], isSilent ? "silent" : "alive");
      row.dataset.state = isSilent ? "down" : "up";
    });
}
