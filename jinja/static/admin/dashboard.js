// The admin dashboard: polls health, pipeline and the details of the selected tab every two seconds and renders them.
// What needs the admin role is neither requested nor rendered for others.
import { callApi } from "../api.js";
import { openTrace, refreshNewestEvents, startActivitySearch } from "./activitySearch.js";
import { startDemo } from "./demo.js";
import { byId, setText } from "./dom.js";
import { backlogOf, renderFigures } from "./figures.js";
import { fetchReadiness, renderProblems, renderServices, renderWorkers } from "./health.js";
import { PipelineCharts } from "./history.js";
import { renderMail, startMail } from "./mail.js";
import { PipelineDiagram } from "./pipelineDiagram.js";
import { Poller } from "./poller.js";
import { QueueTable } from "./queues.js";
import { fetchServiceStates, renderServiceControls } from "./serviceControl.js";
import { RateMeter, renderStages } from "./stages.js";
import { startTabs } from "./tabs.js";
import { startTrace } from "./trace.js";
import { renderWindows, startWindows } from "./windows.js";

const POLL_INTERVAL_MS = 2000;
const root = byId("dashboard");
const isAdmin = root.dataset.admin === "true";
const isTesting = root.dataset.testing === "true";
const diagram = new PipelineDiagram(byId("pipeline-diagram"));
const tabs = [...root.querySelectorAll("[role=tab]")];
const rateMeter = new RateMeter();
let poller = null;
let selectTab = null;
let selectedPanel = "overview";
const refresh = () => poller.pollNow();
const charts = isAdmin ? new PipelineCharts() : null;
const queueTables = isAdmin ? [new QueueTable("fallback", refresh), new QueueTable("dead-letters", refresh)] : [];
// What only one tab shows is requested while it is selected.
const REFRESH_BY_PANEL = {
  windows: () => [renderWindows()],
  queues: () => queueTables.map((table) => table.refresh()),
  mail: () => [renderMail()],
  traces: () => [refreshNewestEvents()],
};

function showCount(panel, count) {
  const badge = byId(`tab-${panel}`).querySelector("[data-count]");
  setText(badge, count ? ` ${count.toLocaleString()}` : "");
}

function renderPipeline({ stages, workers, missingLoops, problems, timestamp }) {
  const at = new Date(timestamp).getTime();
  const rates = rateMeter.measure(stages, at);
  const stagesByName = Object.fromEntries(stages.map((stage) => [stage.name, stage]));
  const diagramStages = Object.fromEntries(stages.map((stage) => [stage.name, {
    rate: rates[stage.name], backlog: backlogOf(stage), oldestAgeSeconds: stage.oldestAgeSeconds, level: stage.level,
  }]));
  diagramStages.web = { rate: rates.bridge, backlog: undefined, oldestAgeSeconds: null, level: "ok" };
  diagram.update(diagramStages);
  renderFigures(stages, rates, problems);
  renderStages(byId("stages"), stages, rates);
  renderWorkers(workers, missingLoops);
  renderProblems(problems);
  showCount("stages", problems.length);
  showCount("queues", stagesByName.fallback.held + stagesByName.fallback.failed);
  showCount("processes", missingLoops.length);
  charts.draw([{ at, stages, rates }]);
}

// Refreshes each section separately: one that an unavailable service blocks leaves the others up to date.
// Returns the errors as text, or throws if every section failed.
async function refreshSections() {
  const sections = [fetchReadiness().then(renderServices)];
  if (isAdmin) {
    sections.push(callApi("GET", "/api/admin/pipeline").then(renderPipeline), ...(REFRESH_BY_PANEL[selectedPanel]?.() ?? []));
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

function showPanel(tab) {
  selectedPanel = tab.dataset.panel;
  root.dataset.panel = selectedPanel;
  for (const { dataset } of tabs) byId(`panel-${dataset.panel}`).hidden = dataset.panel !== selectedPanel;
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  history.replaceState(null, "", selectedPanel === "overview" ? location.pathname : `#${selectedPanel}`);
  poller?.pollNow();
}

// The fragment of the address names a tab, so that it can be linked to and survives a reload.
function startDetails() {
  selectTab = startTabs(tabs, showPanel);
  const linkedTab = tabs.find(({ dataset }) => `#${dataset.panel}` === location.hash);
  if (linkedTab) selectTab(linkedTab);
  startWindows(refresh);
  startMail(refresh);
  startActivitySearch();
  startTrace();
}

function offerTrace(eventId) {
  const button = byId("demo-trace");
  button.hidden = false;
  button.onclick = () => {
    selectTab(byId("tab-traces"));
    openTrace(eventId);
  };
}

if (isTesting) startDemo(diagram, (eventId) => isAdmin && offerTrace(eventId));
if (isAdmin) {
  startDetails();
  // With the last sample the first poll already has a rate.
  charts.loadHistory().then((lastSample) => (rateMeter.previous ??= lastSample));
}
poller = new Poller({ intervalMs: POLL_INTERVAL_MS, poll: refreshSections, pauseButton: byId("pause"), statusElement: byId("last-updated") });
