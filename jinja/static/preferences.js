// Preferences page: sends each change at once and renders what the server stored. One request at a time;
// changes made during a request are sent together in the next one.
import { callApi, currentUserId } from "./api.js";

const form = document.querySelector("[data-preferences]");
const saveStatus = document.getElementById("saved");
let pendingChanges = {};
let isSending = false;

const matrixCells = (selector = "") => [...form.querySelectorAll(`[data-kind]:not(:disabled)${selector}`)];

function setSaveStatus(text, isError = false) {
  saveStatus.textContent = text;
  saveStatus.classList.toggle("failed", isError);
}

function renderPreferences(preferences) {
  for (const field of form.querySelectorAll("[data-preference]")) {
    const value = preferences[field.dataset.preference];
    if (field.type === "checkbox") field.checked = value;
    else if (field !== document.activeElement) field.value = value ?? "";
  }
  for (const cell of matrixCells()) cell.checked = preferences.matrix[cell.dataset.kind][cell.dataset.channel];
}

async function renderQuietHoursStatus() {
  const response = await fetch("/preferences", { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const current = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("quiet-now");
  document.getElementById("quiet-now").replaceChildren(...current.childNodes);
}

async function sendChanges() {
  if (isSending) return;
  isSending = true;
  let stored = null;
  try {
    while (Object.keys(pendingChanges).length) {
      const changes = pendingChanges;
      pendingChanges = {};
      setSaveStatus("Saving…");
      stored = (await callApi("PATCH", `/api/preferences/${currentUserId}`, changes)).preferences;
    }
    renderPreferences(stored);
    await renderQuietHoursStatus();
    setSaveStatus("✓ Saved");
  } catch (error) {
    pendingChanges = {};
    setSaveStatus(`Not saved: ${error.message}`, true);
    const reply = await callApi("GET", `/api/preferences/${currentUserId}`).catch(() => null);
    if (reply) renderPreferences(reply.preferences);
  } finally {
    isSending = false;
  }
}

function recordChange(field) {
  if (field.dataset.kind) {
    pendingChanges.matrix ??= {};
    (pendingChanges.matrix[field.dataset.kind] ??= {})[field.dataset.channel] = field.checked;
  } else if (field.type === "checkbox") {
    pendingChanges[field.dataset.preference] = field.checked;
  } else {
    pendingChanges[field.dataset.preference] = field.value || null; // a time that was cleared
  }
}

// Switches all cells on, or off when all of them are on.
function toggleCells(cells) {
  const on = !cells.every((cell) => cell.checked);
  for (const cell of cells) {
    cell.checked = on;
    recordChange(cell);
  }
  sendChanges();
}

// Preselects the browser's time zone while the user has not chosen one; it is sent when quiet hours are switched on.
function preselectTimeZone() {
  const select = form.querySelector("[data-preference=timezone]");
  const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const quietHoursSwitch = form.querySelector("[data-preference=dndEnabled]");
  if (select.value !== "UTC" || quietHoursSwitch.checked || ![...select.options].some((option) => option.value === browserZone)) return;
  select.value = browserZone;
  quietHoursSwitch.addEventListener("change", () => quietHoursSwitch.checked && recordChange(select), { once: true });
}

// Lifts or restores a mute or a block.
async function toggleRestriction(restrictionForm) {
  const isLifting = restrictionForm.elements.desired_state.value === "off";
  const { restrictionPath, liftLabel, restoreLabel } = restrictionForm.dataset;
  const button = restrictionForm.querySelector("button");
  button.disabled = true;
  try {
    await callApi(isLifting ? "DELETE" : "PUT", restrictionPath);
    restrictionForm.elements.desired_state.value = isLifting ? "on" : "off";
    button.textContent = isLifting ? restoreLabel : liftLabel;
    setSaveStatus(isLifting ? `✓ Done. “${restoreLabel}” takes it back` : "✓ Done");
  } catch (error) {
    setSaveStatus(`Not done: ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
}

preselectTimeZone();
form.addEventListener("change", ({ target }) => {
  recordChange(target);
  sendChanges();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-column], [data-row]");
  if (!button) return;
  const { column, row } = button.dataset;
  const group = button.closest("[data-group]");
  toggleCells(row ? matrixCells(`[data-kind="${row}"]`) : matrixCells(`[data-channel="${column}"]`).filter((cell) => group.contains(cell)));
});
document.addEventListener("submit", (event) => {
  if (!event.target.dataset.restrictionPath) return;
  event.preventDefault();
  toggleRestriction(event.target);
});
