// Buttons that stop, kill, freeze and start the embedded services, on their cards. Testing mode only.
import { callApi } from "../api.js";
import { byId, el, setText } from "./dom.js";

const LABELS = { start: "Start", resume: "Resume", pause: "Freeze", stop: "Stop", kill: "Kill" };
// Commands available in each state; the one that restores the service comes first.
const COMMANDS_BY_STATE = { running: ["pause", "stop", "kill"], paused: ["resume", "kill"], stopped: ["start"] };
const PROGRESS_TEXTS = { start: "starting…", stop: "stopping…", kill: "killing…", pause: "freezing…", resume: "resuming…" };

async function runCommand(serviceName, command, onDone) {
  try {
    await callApi("POST", `/api/test/services/${serviceName}`, { verb: command });
  } catch (error) {
    setText(byId("service-control-result"), error.message);
  }
  await onDone();
}

function renderControls(container, serviceName, { state, runningCommand, lastError }, onDone) {
  const commands = runningCommand ? "" : (COMMANDS_BY_STATE[state] ?? []).join(" ");
  if (container.dataset.commands !== commands) {
    const hadFocus = container.contains(document.activeElement);
    container.dataset.commands = commands;
    container.replaceChildren(...commands.split(" ").filter(Boolean).map((command) => el("button", {
      type: "button", class: "small secondary", "data-command": command, "aria-label": `${LABELS[command]} ${serviceName}`,
      onclick: () => runCommand(serviceName, command, onDone),
    }, LABELS[command])), el("span", { class: "muted", role: "status", tabindex: -1 }));
    if (hadFocus) (container.querySelector("button") ?? container.lastElementChild).focus();
  }
  setText(container.lastElementChild, runningCommand ? PROGRESS_TEXTS[runningCommand] : lastError ?? (state === "paused" ? "frozen" : ""));
}

// `onDone` is called after each command.
export function renderServiceControls(services, onDone) {
  for (const [name, service] of Object.entries(services)) {
    const container = document.querySelector(`[data-service="${name}"] [data-part="controls"]`);
    if (container) renderControls(container, name, service, onDone);
  }
  byId("no-embedded-services").hidden = Object.keys(services).length > 0;
}

// name -> {state, runningCommand, lastError}.
export async function fetchServiceStates() {
  const { services } = await callApi("GET", "/api/test/services");
  return Object.fromEntries(Object.entries(services).map(([name, service]) => [name, {
    state: service.state,
    runningCommand: service.command,
    lastError: service.lastError,
  }]));
}
