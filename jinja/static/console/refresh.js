// A look that repeats: it can be paused, says how old its figures are, and rests while nobody looks.
import { say } from "./dom.js";

const STALE = 3; // looks missed in a row

export class Refresh {
  constructor({ every, look, button, stamp }) {
    Object.assign(this, { every, look, button, stamp });
    this.paused = false;
    this.seenAt = null;
    this.fault = null;
    this.busy = null;
    this.again = false;
    button?.addEventListener("click", () => this.pause(!this.paused));
    document.addEventListener("visibilitychange", () => document.hidden || this.now());
    setInterval(() => this.tell(), 1000);
    this.loop();
  }

  pause(paused) {
    this.paused = paused;
    this.button.setAttribute("aria-pressed", String(paused));
    this.tell();
    if (!paused) this.now();
  }

  stop() {
    this.paused = true;
    clearTimeout(this.timer);
  }

  // One look at a time; who asks meanwhile gets a fresh one after it.
  async now() {
    if (this.busy) {
      this.again = true;
      return this.busy;
    }
    this.busy = this.once();
    await this.busy;
    this.busy = null;
    if (this.again) {
      this.again = false;
      return this.now();
    }
    return undefined;
  }

  async once() {
    try {
      // What it could not see, if it saw the rest.
      this.fault = (await this.look()) || null;
      this.seenAt = Date.now();
    } catch (error) {
      this.fault = error.message;
    }
    this.tell();
  }

  async loop() {
    if (!this.paused && !document.hidden) await this.now();
    this.timer = setTimeout(() => this.loop(), this.every);
  }

  get stale() {
    return this.seenAt === null ? this.fault !== null : Date.now() - this.seenAt > STALE * this.every;
  }

  tell() {
    if (!this.stamp) return;
    const age = this.seenAt === null ? null : Math.round((Date.now() - this.seenAt) / 1000);
    const when = age === null ? "Loading…" : age < 2 ? "Updated just now" : `Updated ${age} s ago`;
    const state = this.paused ? "paused" : this.stale ? "stale" : "fresh";
    const words = { paused: " · paused", stale: " · stale", fresh: "" }[state];
    say(this.stamp, `${when}${words}${this.fault && !this.paused ? ` · ${this.fault}` : ""}`);
    this.stamp.dataset.state = state;
  }
}
