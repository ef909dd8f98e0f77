// Follows events that were just sent, until each has come to its end; tells of every step it sees pass.
import { call } from "../api.js";

const EVERY_MS = 700;
const PATIENCE_MS = 6000;
const MOST = 50;
const arrived = (one) => one.stand === "announced" || one.stand === "ended";

export class Following {
  constructor(ids, { told, step, faulty }) {
    Object.assign(this, { ids: ids.slice(0, MOST), told, step, faulty });
    this.seen = new Map(ids.map((id) => [id, new Set()]));
    this.writtenAt = new Map();
    this.on = true;
    this.look();
  }

  stop() {
    this.on = false;
    clearTimeout(this.timer);
  }

  // A row that was written without a line of its own (merged, withdrawn) is announced by nothing.
  settled(one) {
    if (arrived(one)) return true;
    if (one.stand !== "written") return false;
    const since = this.writtenAt.get(one.eventId) ?? Date.now();
    this.writtenAt.set(one.eventId, since);
    return Date.now() - since > PATIENCE_MS;
  }

  async look() {
    if (!this.on) return;
    try {
      const { events } = await call("GET", `/api/test/progress?events=${this.ids.join(",")}`);
      for (const one of events) this.pass(one);
      const done = events.every((one) => this.settled(one));
      if (this.on) this.told(events, done);
      if (done) this.on = false;
    } catch (error) {
      this.faulty?.(error);
    }
    if (this.on) this.timer = setTimeout(() => this.look(), EVERY_MS);
  }

  pass(one) {
    const seen = this.seen.get(one.eventId);
    for (const { name, at } of one.steps) {
      if (seen.has(name)) continue;
      seen.add(name);
      this.step?.(name, at, one);
    }
  }
}
