// The admin dashboard: polls health, pipeline, windows and queues every two seconds and renders them.
// What needs the admin role is neither requested nor rendered for others.
import { callApi } from "../api.js";
import { TimeSeriesChart } from "./charts.js";
import { startDemo } from "./demo.js";
import { byId } from "./dom.js";
import { fetchReadiness, renderProblems, renderServices, renderWorkers } from "./health.js";
import { PipelineDiagram } from "./pipelineDiagram.js";
import { Poller } from "./poller.js";
import { QueueTable } from "./queues.js";
import { fetchServiceStates, renderServiceControls } from "./serviceControl.js";
import { computeRates, renderStages } from "./stages.js";
import { renderRecentEvents, showTrace, startTrace } from "./trace.js";
import { renderWindows, startWindows } from "./windows.js";

const POLL_INTERVAL_MS = 2000;
// Stages whose backlog is the number of items they hold; for the others it is their lag.
const STAGES_WITH_HELD_BACKLOG = new Set(["flusher", "fallback", "mail"]);
const root = byId("dashboard");
const isAdmin = root.dataset.admin === "true";
const isTesting = root.dataset.testing === "true";
const diagram = new PipelineDiagram(byId("pipeline-diagram"));
let poller = null;
const refresh = () => poller.pollNow();
const queueTables = isAdmin ? [new QueueTable("fallback", refresh), new QueueTable("dead-letters", refresh)] : [];
const ratesChart = isAdmin ? new TimeSeriesChart("chart-rates", ["accepted", "aggregated", "delivered", "logged"]) : null;
const backlogChart = isAdmin ? new TimeSeriesChart("chart-waiting", ["ingress", "fallback queue", "windows", "Kafka lanes"]) : null;

function renderPipeline({ stages, workers, missingLoops, problems, timestamp }) {
  const at = new Date(timestamp).getTime();
  const rates = computeRates(stages, at);
  const stagesByName = Object.fromEntries(stages.map((stage) => [stage.name, stage]));
  const diagramStages = Object.fromEntries(stages.map((stage) => [stage.name, {
    rate: rates[stage.name],
    backlog: STAGES_WITH_HELD_BACKLOG.has(stage.name) ? stage.held : stage.lag,
    oldestAgeSeconds: stage.oldestAgeSeconds,
    level: stage.level,
  }]));
  diagramStages.web = { rate: rates.bridge, backlog: undefined, oldestAgeSeconds: null, level: "ok" };
  diagram.update(diagramStages);
  renderStages(byId("stages"), stages, rates);
  renderWorkers(workers, missingLoops);
  renderProblems(problems);
  ratesChart.add(at, [rates.bridge, rates.aggregator, rates.deliverer, rates["delivery-log"]]);
  backlogChart.add(at, [stagesByName.bridge.held, stagesByName.fallback.held, stagesByName.flusher.held, stagesByName.aggregator.lag]);
}

// Refreshes each section separately: one that an unavailable service blocks leaves the others up to date.
// Returns the errors as text, or throws if every section failed.
async function refreshSections() {
  const sections = [fetchReadiness().then(renderServices)];
  if (isAdmin) {
    sections.push(callApi("GET", "/api/admin/pipeline").then(renderPipeline), renderWindows(), renderRecentEvents());
    sections.push(...queueTables.map((table) => table.refresh()));
  }
  const results = await Promise.allSettled(sections);
  if (isTesting) {
    const controls = fetchServiceStates().then((services) => renderServiceControls(services, refresh));
    results.push(...(await Promise.allSettled([controls])));
  }
  const failures = results.filter((result) => result.status === "rejected");
  const errors = [...new Set(failures.map((result) => result.reason.message))].join("; ");
  if (failures.length === results.length) throw new Error(errors);
  return errors;
}

if (isAdmin) {
  startWindows(refresh);
  startTrace();
}
if (isTesting) startDemo(diagram, (eventId) => isAdmin && offerTrace(eventId));

function offerTrace(eventId) {
  const button = byId("demo-trace");
  button.hidden = false;
  button.onclick = () => {
    showTrace(eventId);
    byId("trace-title").scrollIntoView({ block: "start" });
  };
}

poller = new Poller({ intervalMs: POLL_INTERVAL_MS, poll: refreshSections, pauseButton: byId("pause"), statusElement: byId("last-updated") });
