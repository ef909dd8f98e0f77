// Sends one real event to the signed-in user and highlights the pipeline stages that it passes.
// In: the buttons [data-demo]. Out: POST /api/test/demo, the list of steps, highlights in the PipelineDiagram.
import { callApi } from "../api.js";
import { byId, el, formatPreciseTime, formatTime, setText } from "./dom.js";
import { EventTracker } from "./eventTracker.js";

const STEP_TEXTS = {
  accepted: "accepted by the web", sent_to_fallback: "put into the fallback queue", queued: "waits in the fallback queue",
  "sent from the queue": "sent from the fallback queue", published: "published to Kafka", aggregated: "seen by the aggregator",
  closed: "its window closed", written: "written to PostgreSQL", announced: "its announcement written to the outbox", relayed: "relayed to the ready topic", emitted: "emitted to your sockets", shown: "shown to you",
};
let tracker = null;

function stepItem(step, at) {
  return el("li", {}, el("time", { class: "numeric" }, formatPreciseTime(at)), ` ${STEP_TEXTS[step] ?? step}`);
}

// Has no countdown: this is a live region, and a screen reader would read it every second.
function statusText(event) {
  if (event.status === "windowed" && event.dueAt) return `Held in its window until ${formatTime(event.dueAt)}`;
  if (event.status === "announced") return "Announced.";
  if (event.status === "ended") return `Ended: ${event.outcome}`;
  return `Now: ${event.status}`;
}

// `onSent` is called with the id of the event.
export function startDemo(diagram, onSent) {
  const stepList = byId("demo-steps");
  const status = byId("demo-state");
  const sendEvent = async (type) => {
    tracker?.stop();
    stepList.replaceChildren();
    for (const stage of ["flusher", "fallback"]) diagram.setHolding(stage, false);
    setText(status, "Sending…");
    try {
      const { eventId } = await callApi("POST", "/api/test/demo", { type });
      setText(status, `Sent at ${formatTime(Date.now())}`);
      onSent?.(eventId);
      tracker = new EventTracker([eventId], {
        onStep: (name, at) => {
          diagram.highlightStep(name);
          stepList.append(stepItem(name, at));
        },
        onUpdate: ([event]) => {
          setText(status, statusText(event));
          diagram.setHolding("flusher", event.status === "windowed");
          diagram.setHolding("fallback", event.status === "queued");
        },
        onError: (error) => setText(status, error.message),
      });
    } catch (error) {
      setText(status, error.message);
    }
  };
  for (const button of document.querySelectorAll("[data-demo]")) {
    button.addEventListener("click", () => sendEvent(button.dataset.demo));
  }
}
