// The storm page: starts and cancels storms, shows their progress and results, and stops services meanwhile.
import { callApi } from "../api.js";
import { confirmDialog } from "./confirm.js";
import { byId, setText } from "./dom.js";
import { fetchReadiness, renderServices } from "./health.js";
import { Poller } from "./poller.js";
import { fetchControls, renderServiceControls, renderWorkerControls } from "./serviceControl.js";
import { StormCharts } from "./stormCharts.js";
import { describeOptions, renderComparison, renderKept, renderLedger, renderMessages, renderSamples } from "./stormResults.js";

const POLL_INTERVAL_MS = 1000;
const SERVICES_POLL_INTERVAL_MS = 4000; // reading the states starts an interpreter, which the storm would notice
const STORMS_PATH = "/api/test/storms";
const STATE_TEXTS = { done: "Done.", cancelled: "Cancelled.", failed: "Failed", interrupted: "Interrupted" };
const charts = new StormCharts();
const form = byId("storm-form");
const samplesDetails = byId("samples").closest("details");
let storms = []; // without samples
let shown = null; // the storm on the page, with its samples
let chosenId = null; // of the storm that the user wants to see; null: of the newest
let poller = null;
let servicesPoller = null;
let problem = ""; // why a storm could not be started, cancelled or deleted
let renderedResult = null; // what the section "Result" shows

const runningStorm = () => storms.find((storm) => storm.state === "running");

// One request a poll: each waits a second and more while PostgreSQL does not answer. Samples are only added, so
// those that are known are not fetched again.
async function fetchStorms(wanted) {
  const known = wanted && shown?.id === wanted ? shown.samples : [];
  const query = wanted ? `?shown=${wanted}&after=${known.length}` : "";
  const response = await callApi("GET", `${STORMS_PATH}${query}`);
  storms = response.storms;
  shown = response.shown;
  if (shown && shown.id === wanted) shown.samples = [...known, ...shown.samples];
}

async function refreshStorms() {
  await fetchStorms(chosenId ?? shown?.id);
  if (chosenId !== null && shown?.id !== chosenId) chosenId = null; // it was deleted
  if (chosenId === null && shown?.id !== storms[0]?.id) await fetchStorms(undefined); // a new one has started
  render();
}

function stateText() {
  if (!shown) return "";
  if (shown.state === "running") return `${shown.phase}…`;
  return shown.error ? `${STATE_TEXTS[shown.state]}: ${shown.error}` : STATE_TEXTS[shown.state];
}

const phaseText = () => [problem, stateText()].filter(Boolean).join(" · ");

// Half of the progress of a way is the load, half are the rows.
function progress() {
  const sample = shown?.samples.at(-1);
  if (shown?.state !== "running" || !sample) return shown?.state === "done" ? 1 : 0;
  const requestCount = shown.options.likes * (shown.options.comments ? 1.05 : 1);
  return (sample.answered + (sample.written ?? 0)) / (2 * requestCount);
}

function render() {
  const isRunning = runningStorm() !== undefined;
  byId("storm-start").disabled = isRunning;
  byId("storm-cancel").disabled = !isRunning;
  setText(byId("storm-phase"), phaseText());
  byId("storm-progress").value = progress();
  renderLedger(shown);
  const samples = shown?.samples ?? [];
  charts.show(samples);
  if (samplesDetails.open) renderSamples(samples);
  setText(byId("result-options"), shown ? describeOptions(shown.options) : "No storm yet.");
  renderKept(storms, shown?.id, { onShow: showStorm, onDelete: deleteStorm });
  renderResult();
  byId("export-json").disabled = samples.length === 0;
  byId("export-png").disabled = samples.length === 0 || !charts.areShown;
}

// Only when it changed, so that a selection of its text survives.
function renderResult() {
  const key = JSON.stringify([shown?.id, shown?.state, Object.keys(shown?.ways ?? {}), byId("compare-with").value]);
  if (key === renderedResult) return;
  renderedResult = key;
  renderComparison(shown, storms.find((storm) => storm.id === byId("compare-with").value));
  renderMessages(shown);
}

async function showStorm(id) {
  chosenId = id;
  await poller.pollNow();
  byId("result-title").scrollIntoView({ block: "start" });
}

// The page says why an action failed, until the next one.
async function run(action, failure) {
  problem = "";
  try {
    await action();
  } catch (error) {
    problem = `${failure}: ${error.message}`;
    render();
  }
  poller.pollNow();
}

const endStorm = (id) => callApi("DELETE", `${STORMS_PATH}/${id}`);

async function deleteStorm(id) {
  if (await confirmDialog("Delete this storm for good?", "Delete")) run(() => endStorm(id), "Not deleted");
}

async function refreshServices() {
  renderServices(await fetchReadiness());
  const { services, workers } = await fetchControls();
  const refresh = () => servicesPoller.pollNow();
  renderServiceControls(services, refresh);
  renderWorkerControls(workers, refresh);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = form.elements;
  run(async () => {
    await callApi("POST", STORMS_PATH, {
      likes: Number(fields.likes.value),
      people: fields.people.value ? Number(fields.people.value) : null,
      posts: Number(fields.posts.value),
      rate: Number(fields.rate.value),
      comments: fields.comments.checked,
      closeWindows: fields.closeWindows.checked,
      pipelineFirst: fields.first.value === "pipeline",
    });
    chosenId = null;
  }, "Not started");
  byId("storm-start").disabled = true;
});

byId("storm-cancel").addEventListener("click", () => {
  const storm = runningStorm();
  if (storm) run(() => endStorm(storm.id), "Not cancelled");
});

byId("compare-with").addEventListener("change", renderResult);
samplesDetails.addEventListener("toggle", render);

function save(blob, extension) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `storm-${shown.createdAt.slice(0, 19).replaceAll(":", "-")}.${extension}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

byId("export-json").addEventListener("click", () => save(new Blob([JSON.stringify(shown, null, 2)], { type: "application/json" }), "json"));
byId("export-png").addEventListener("click", async () => save(await charts.toBlob(), "png"));

renderLedger(null);
poller = new Poller({ intervalMs: POLL_INTERVAL_MS, poll: refreshStorms, pauseButton: byId("pause"), statusElement: byId("last-updated") });
// By itself: a frozen service answers late, and the progress of the storm does not wait for it.
servicesPoller = new Poller({ intervalMs: SERVICES_POLL_INTERVAL_MS, poll: refreshServices });
