// Buttons that stop, kill, freeze and start the embedded services and the workers, on their cards. Testing mode only.
import { callApi } from "../api.js";
import { byId, el, reconcileChildren, setText } from "./dom.js";

const LABELS = { start: "Start", resume: "Resume", pause: "Freeze", stop: "Stop", kill: "Kill" };
// Commands available in each state; the one that restores the service comes first.
const COMMANDS_BY_STATE = { running: ["pause", "stop", "kill"], paused: ["resume", "kill"], stopped: ["start"] };
const WORKER_COMMANDS_BY_STATE = { running: ["pause", "kill"], paused: ["resume", "kill"], stopped: [] };
// The states of workers as those of services, which have colours.
const CARD_STATES = { running: "up", paused: "degraded", stopped: "down" };
const PROGRESS_TEXTS = { start: "starting…", stop: "stopping…", kill: "killing…", pause: "freezing…", resume: "resuming…" };

async function runCommand(path, command, onDone) {
  try {
    await callApi("POST", path, { verb: command });
  } catch (error) {
    setText(byId("service-control-result"), error.message);
  }
  await onDone();
}

// `path`: where commands are sent to; its last part is the name.
function renderControls(container, path, commandsByState, { state, runningCommand, lastError }, onDone) {
  const commands = runningCommand ? "" : (commandsByState[state] ?? []).join(" ");
  if (container.dataset.commands !== commands) {
    const hadFocus = container.contains(document.activeElement);
    container.dataset.commands = commands;
    container.replaceChildren(...commands.split(" ").filter(Boolean).map((command) => el("button", {
      type: "button", class: "small secondary", "data-command": command, "aria-label": `${LABELS[command]} ${path.split("/").pop()}`,
      onclick: () => runCommand(path, command, onDone),
    }, LABELS[command])), el("span", { class: "muted", role: "status", tabindex: -1 }));
    if (hadFocus) (container.querySelector("button") ?? container.lastElementChild).focus();
  }
  setText(container.lastElementChild, runningCommand ? PROGRESS_TEXTS[runningCommand] : lastError ?? (state === "paused" ? "frozen" : ""));
}

// `onDone` is called after each command.
export function renderServiceControls(services, onDone) {
  for (const [name, service] of Object.entries(services)) {
    const container = document.querySelector(`[data-service="${name}"] [data-part="controls"]`);
    if (container) renderControls(container, `/api/test/services/${name}`, COMMANDS_BY_STATE, service, onDone);
  }
  byId("no-embedded-services").hidden = Object.keys(services).length > 0;
}

function createWorkerCard([name]) {
  return el("li", { class: "service", "data-worker": name }, el("h4", {}, name),
    el("p", { class: "state", "data-part": "state" }), el("div", { class: "service-controls", "data-part": "controls" }));
}

// Cards of the workers, with their buttons. `workers`: name -> state.
export function renderWorkerControls(workers, onDone) {
  byId("no-controlled-workers").hidden = Object.keys(workers).length > 0;
  reconcileChildren(byId("worker-controls"), Object.entries(workers), ([name]) => name, createWorkerCard, (card, [name, state]) => {
    card.dataset.state = CARD_STATES[state];
    setText(card.querySelector('[data-part="state"]'), state === "paused" ? "frozen" : state);
    renderControls(card.querySelector('[data-part="controls"]'), `/api/test/workers/${name}`, WORKER_COMMANDS_BY_STATE, { state }, onDone);
  });
}

// `services`: name -> {state, runningCommand, lastError}; `workers`: name -> state.
export async function fetchControls() {
  const { services, workers } = await callApi("GET", "/api/test/services");
  return {
    services: Object.fromEntries(Object.entries(services).map(([name, service]) => [name, {
      state: service.state,
      runningCommand: service.command,
      lastError: service.lastError,
    }])),
    workers,
  };
}

export const fetchServiceStates = async () => (await fetchControls()).services;
