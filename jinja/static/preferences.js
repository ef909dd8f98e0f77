// Preferences: each change goes out at once and is painted again as the server keeps it. One request at a time;
// changes made meanwhile go together in the next one.
import { call, myId } from "./api.js";

const form = document.querySelector("[data-preferences]");
const said = document.getElementById("saved");
let waiting = {};
let busy = false;

const cells = (selector = "") => [...form.querySelectorAll(`[data-kind]:not(:disabled)${selector}`)];

function tell(text, wrong = false) {
  said.textContent = text;
  said.classList.toggle("wrong", wrong);
}

function paint(kept) {
  for (const field of form.querySelectorAll("[data-choice]")) {
    const value = kept[field.dataset.choice];
    if (field.type === "checkbox") field.checked = value;
    else if (field !== document.activeElement) field.value = value ?? "";
  }
  for (const cell of cells()) cell.checked = kept.matrix[cell.dataset.kind][cell.dataset.channel];
}

async function paintNow() {
  const answer = await fetch("/preferences", { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("quiet-now");
  document.getElementById("quiet-now").replaceChildren(...fresh.childNodes);
}

async function send() {
  if (busy) return;
  busy = true;
  let kept = null;
  try {
    while (Object.keys(waiting).length) {
      const given = waiting;
      waiting = {};
      tell("Saving…");
      kept = (await call("PATCH", `/api/preferences/${myId}`, given)).preferences;
    }
    paint(kept);
    await paintNow();
    tell("✓ Saved");
  } catch (error) {
    waiting = {};
    tell(`Not saved: ${error.message}`, true);
    const kept = await call("GET", `/api/preferences/${myId}`).catch(() => null);
    if (kept) paint(kept.preferences);
  } finally {
    busy = false;
  }
}

function choose(field) {
  if (field.dataset.kind) {
    waiting.matrix ??= {};
    (waiting.matrix[field.dataset.kind] ??= {})[field.dataset.channel] = field.checked;
  } else if (field.type === "checkbox") {
    waiting[field.dataset.choice] = field.checked;
  } else {
    waiting[field.dataset.choice] = field.value || null; // an emptied time
  }
}

// All on, unless they are all on already.
function toggle(some) {
  const on = !some.every((cell) => cell.checked);
  for (const cell of some) {
    cell.checked = on;
    choose(cell);
  }
  send();
}

// Who never chose a zone lives, most likely, where the browser does.
function startZone() {
  const zone = form.querySelector("[data-choice=timezone]");
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const quiet = form.querySelector("[data-choice=dndEnabled]");
  if (zone.value !== "UTC" || quiet.checked || ![...zone.options].some((one) => one.value === here)) return;
  zone.value = here;
  quiet.addEventListener("change", () => quiet.checked && choose(zone), { once: true });
}

async function silence(line) {
  const off = line.elements.wish.value === "off";
  const button = line.querySelector("button");
  button.disabled = true;
  try {
    await call(off ? "DELETE" : "PUT", line.dataset.silence);
    line.elements.wish.value = off ? "on" : "off";
    button.textContent = off ? line.dataset.on : line.dataset.off;
    tell(off ? `✓ Done. “${line.dataset.on}” takes it back` : "✓ Done");
  } catch (error) {
    tell(`Not done: ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
}

startZone();
form.addEventListener("change", ({ target }) => {
  choose(target);
  send();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-column], [data-row]");
  if (!button) return;
  const { column, row } = button.dataset;
  const group = button.closest("[data-group]");
  toggle(row ? cells(`[data-kind="${row}"]`) : cells(`[data-channel="${column}"]`).filter((cell) => group.contains(cell)));
});
document.addEventListener("submit", (event) => {
  if (!event.target.dataset.silence) return;
  event.preventDefault();
  silence(event.target);
});
