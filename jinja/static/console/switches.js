// Stop, kill, freeze and start the embedded services, from their cards. Testing mode only.
import { call } from "../api.js";
import { byId, el, say } from "./dom.js";

const LABELS = { start: "Start", resume: "Resume", pause: "Freeze", stop: "Stop", kill: "Kill" };
// What can be done in which state; what mends comes first.
const VERBS = { running: ["pause", "stop", "kill"], paused: ["resume", "kill"], stopped: ["start"] };
const DOING = { start: "starting…", stop: "stopping…", kill: "killing…", pause: "freezing…", resume: "waking…" };

async function turn(name, verb, after) {
  try {
    await call("POST", `/api/test/services/${name}`, { verb });
  } catch (error) {
    say(byId("switch-said"), error.message);
  }
  await after();
}

function paint(place, name, { state, doing, trouble }, after) {
  const wanted = doing ? "" : (VERBS[state] ?? []).join(" ");
  if (place.dataset.verbs !== wanted) {
    const had = place.contains(document.activeElement);
    place.dataset.verbs = wanted;
    place.replaceChildren(...wanted.split(" ").filter(Boolean).map((verb) => el("button", {
      type: "button", class: "small quiet", "data-verb": verb, "aria-label": `${LABELS[verb]} ${name}`,
      onclick: () => turn(name, verb, after),
    }, LABELS[verb])), el("span", { class: "muted", role: "status", tabindex: -1 }));
    if (had) (place.querySelector("button") ?? place.lastElementChild).focus();
  }
  say(place.lastElementChild, doing ? DOING[doing] : trouble ?? (state === "paused" ? "frozen" : ""));
}

export function paintSwitches(services, after) {
  for (const [name, one] of Object.entries(services)) {
    const place = document.querySelector(`[data-service="${name}"] [data-part="switches"]`);
    if (place) paint(place, name, one, after);
  }
  byId("switch-none").hidden = Object.keys(services).length > 0;
}

export const states = async () => (await call("GET", "/api/test/services")).services;
