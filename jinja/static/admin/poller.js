// Calls a function at an interval. It can be paused, stops while the tab is hidden, and shows the age of the last result.
import { setText } from "./dom.js";

const STALE_AFTER_INTERVALS = 3;

export class Poller {
  // `poll` may return a text that names what could not be refreshed, and throws if nothing could.
  constructor({ intervalMs, poll, pauseButton, statusElement }) {
    Object.assign(this, { intervalMs, poll, pauseButton, statusElement });
    this.isPaused = false;
    this.updatedAt = null;
    this.error = null;
    this.currentPoll = null;
    this.pollRequested = false;
    pauseButton?.addEventListener("click", () => this.setPaused(!this.isPaused));
    document.addEventListener("visibilitychange", () => document.hidden || this.pollNow());
    setInterval(() => this.renderStatus(), 1000);
    this.loop();
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.pauseButton.setAttribute("aria-pressed", String(isPaused));
    this.renderStatus();
    if (!isPaused) this.pollNow();
  }

  // One poll at a time; a request during a poll runs another one after it.
  async pollNow() {
    if (this.currentPoll) {
      this.pollRequested = true;
      return this.currentPoll;
    }
    this.currentPoll = this.pollOnce();
    await this.currentPoll;
    this.currentPoll = null;
    if (this.pollRequested) {
      this.pollRequested = false;
      return this.pollNow();
    }
    return undefined;
  }

  async pollOnce() {
    try {
      this.error = (await this.poll()) || null;
      this.updatedAt = Date.now();
    } catch (error) {
      this.error = error.message;
    }
    this.renderStatus();
  }

  async loop() {
    if (!this.isPaused && !document.hidden) await this.pollNow();
    setTimeout(() => this.loop(), this.intervalMs);
  }

  get isStale() {
    return this.updatedAt === null ? this.error !== null : Date.now() - this.updatedAt > STALE_AFTER_INTERVALS * this.intervalMs;
  }

  renderStatus() {
    if (!this.statusElement) return;
    const ageSeconds = this.updatedAt === null ? null : Math.round((Date.now() - this.updatedAt) / 1000);
    const age = ageSeconds === null ? "Loading…" : ageSeconds < 2 ? "Updated just now" : `Updated ${ageSeconds} s ago`;
    const state = this.isPaused ? "paused" : this.isStale ? "stale" : "fresh";
    const suffix = { paused: " · paused", stale: " · stale", fresh: "" }[state];
    setText(this.statusElement, `${age}${suffix}${this.error && !this.isPaused ? ` · ${this.error}` : ""}`);
    this.statusElement.dataset.state = state;
  }
}
