// Sends one real event to the person who looks, and lights up the stages as its trace shows them passed.
import { call } from "../api.js";
import { byId, clock, el, precise, say } from "./dom.js";
import { Following } from "./following.js";

const WORDS = {
  accepted: "accepted by the web", spilled: "put into the fallback queue", queued: "waits in the fallback queue",
  "sent from the queue": "sent from the fallback queue", published: "published to Kafka", aggregated: "seen by the aggregator",
  closed: "its window closed", written: "written to PostgreSQL", relayed: "relayed to the ready topic", emitted: "emitted to your sockets",
};
let following = null;

function line(step, at) {
  return el("li", {}, el("time", { class: "figure" }, precise(at)), ` ${WORDS[step] ?? step}`);
}

// No countdown in here: it is a live region, and would be read out every second.
function status(one) {
  if (one.stand === "held" && one.dueAt) return `Held in its window until ${clock(one.dueAt)}`;
  if (one.stand === "announced") return "Announced.";
  if (one.stand === "ended") return `Ended: ${one.outcome}`;
  return `Now: ${one.stand}`;
}

export function startDemo(picture, onSent) {
  const list = byId("demo-steps");
  const state = byId("demo-state");
  const send = async (type) => {
    following?.stop();
    list.replaceChildren();
    for (const stage of ["flusher", "fallback"]) picture.hold(stage, false);
    say(state, "Sending…");
    try {
      const { eventId } = await call("POST", "/api/test/demo", { type });
      say(state, `Sent at ${clock(Date.now())}`);
      onSent?.(eventId);
      following = new Following([eventId], {
        step: (name, at) => {
          picture.light(name);
          list.append(line(name, at));
        },
        told: ([one]) => {
          say(state, status(one));
          picture.hold("flusher", one.stand === "held");
          picture.hold("fallback", one.stand === "queued");
        },
        faulty: (error) => say(state, error.message),
      });
    } catch (error) {
      say(state, error.message);
    }
  };
  for (const button of document.querySelectorAll("[data-demo]")) {
    button.addEventListener("click", () => send(button.dataset.demo));
  }
}
