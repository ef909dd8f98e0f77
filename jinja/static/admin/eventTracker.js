// Polls the progress of events that were just sent until each has reached its end.
// In: event ids. Out: callbacks with the events and with each step when it is first seen.
import { callApi } from "../api.js";

const POLL_INTERVAL_MS = 700;
const WRITTEN_TIMEOUT_MS = 6000;
export const MAX_TRACKED_EVENTS = 50;
const isFinal = (event) => event.status === "announced" || event.status === "ended";

export class EventTracker {
  // onUpdate(events, isDone), onStep(name, at), onError(error); the last two are optional.
  constructor(eventIds, { onUpdate, onStep, onError }) {
    Object.assign(this, { eventIds: eventIds.slice(0, MAX_TRACKED_EVENTS), onUpdate, onStep, onError });
    this.seenSteps = new Map(eventIds.map((eventId) => [eventId, new Set()]));
    this.writtenSince = new Map();
    this.isRunning = true;
    this.poll();
  }

  stop() {
    this.isRunning = false;
    clearTimeout(this.timer);
  }

  // A written row that was merged or withdrawn is never announced, so "written" counts as the end after a timeout.
  isSettled(event) {
    if (isFinal(event)) return true;
    if (event.status !== "written") return false;
    const since = this.writtenSince.get(event.eventId) ?? Date.now();
    this.writtenSince.set(event.eventId, since);
    return Date.now() - since > WRITTEN_TIMEOUT_MS;
  }

  async poll() {
    if (!this.isRunning) return;
    try {
      const reply = await callApi("GET", `/api/test/progress?events=${this.eventIds.join(",")}`);
      const events = reply.events;
      for (const event of events) this.reportNewSteps(event);
      const isDone = events.every((event) => this.isSettled(event));
      if (this.isRunning) this.onUpdate(events, isDone);
      if (isDone) this.isRunning = false;
    } catch (error) {
      this.onError?.(error);
    }
    if (this.isRunning) this.timer = setTimeout(() => this.poll(), POLL_INTERVAL_MS);
  }

  reportNewSteps(event) {
    const seenSteps = this.seenSteps.get(event.eventId);
    for (const { name, at } of event.steps) {
      if (seenSteps.has(name)) continue;
      seenSteps.add(name);
      this.onStep?.(name, at);
    }
  }
}
