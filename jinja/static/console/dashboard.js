// The system dashboard: looks every two seconds, and leaves out what the person may not see.
import { call } from "../api.js";
import { Series } from "./charts.js";
import { startDemo } from "./demo.js";
import { byId, say } from "./dom.js";
import { paintServices, paintWorkers, ready } from "./health.js";
import { Picture } from "./picture.js";
import { Queue } from "./queues.js";
import { Refresh } from "./refresh.js";
import { paintStages, rates } from "./stages.js";
import { paintSwitches, states } from "./switches.js";
import { paintRecent, showTrace, startTrace } from "./trace.js";
import { paintWindows, startWindows } from "./windows.js";

const EVERY_MS = 2000;
// Stages whose figure of interest is what they hold; of the others it is their lag.
const HOLDS = new Set(["flusher", "fallback", "mail"]);
const root = byId("dashboard");
const admin = root.dataset.admin === "true";
const testing = root.dataset.testing === "true";
const picture = new Picture(byId("picture"));
let refresh = null;
const again = () => refresh.now();
const queues = admin ? [new Queue("fallback", again), new Queue("dead-letters", again)] : [];
const passing = admin ? new Series("chart-rates", ["accepted", "aggregated", "delivered", "logged"]) : null;
const waiting = admin ? new Series("chart-waiting", ["ingress", "fallback queue", "windows", "Kafka lanes"]) : null;

function paintPipeline({ stages, workers, silentLoops, unavailable, timestamp }) {
  const at = new Date(timestamp).getTime();
  const found = rates(stages, at);
  const by = Object.fromEntries(stages.map((stage) => [stage.name, stage]));
  const shown = Object.fromEntries(stages.map((stage) => [stage.name,
    { rate: found[stage.name], waiting: HOLDS.has(stage.name) ? stage.held : stage.lag, oldest: stage.oldestAgeSeconds }]));
  shown.web = { rate: found.bridge, waiting: undefined, oldest: null };
  picture.show(shown);
  paintStages(byId("stages"), stages, found);
  paintWorkers(workers, silentLoops);
  const away = Object.entries(unavailable).map(([name, why]) => `${name}: ${why}`);
  say(byId("away"), away.length ? `Not told: ${away.join("; ")}` : "");
  passing.add(at, [found.bridge, found.aggregator, found.deliverer, found.recorder]);
  waiting.add(at, [by.bridge.held, by.fallback.held, by.flusher.held, by.aggregator.lag]);
}

// Each part stands alone: one that a dead service keeps from us leaves the others fresh.
async function look() {
  const parts = [ready().then(paintServices)];
  if (admin) {
    parts.push(call("GET", "/api/admin/pipeline").then(paintPipeline), paintWindows(), paintRecent());
    parts.push(...queues.map((queue) => queue.paint()));
  }
  const ended = await Promise.allSettled(parts);
  if (testing) {
    const turned = await Promise.allSettled([states().then((services) => paintSwitches(services, again))]);
    ended.push(...turned);
  }
  const faults = [...new Set(ended.filter((one) => one.status === "rejected").map((one) => one.reason.message))];
  if (ended.every((one) => one.status === "rejected")) throw new Error(faults.join("; "));
  return faults.join("; ");
}

if (admin) {
  startWindows(again);
  startTrace();
}
if (testing) startDemo(picture, (eventId) => admin && linkTrace(eventId));

function linkTrace(eventId) {
  const button = byId("demo-trace");
  button.hidden = false;
  button.onclick = () => {
    showTrace(eventId);
    byId("trace-title").scrollIntoView({ block: "start" });
  };
}

refresh = new Refresh({ every: EVERY_MS, look, button: byId("pause"), stamp: byId("stamp") });
