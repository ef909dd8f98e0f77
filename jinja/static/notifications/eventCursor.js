// The one place of the page that orders client events and drops duplicates. Pure: no network, no DOM.
// The client events of a user are numbered without gaps, so a number that is too high means that one is missing.

// Longer than the history that the server resends: beyond it, loading everything again is cheaper.
const MAX_PENDING = 300;

export class EventCursor {
  resumePoint = null; // {epoch, seq} of the last event delivered; null: not known yet
  pending = new Map(); // seq -> [name, data] of events that arrived before an earlier one

  // Adds an event; returns the events that can be delivered now, in order.
  add(name, data) {
    // A preview of a critical event; its copy with a number changes no row and claims no second toast.
    if (data.seq === undefined || data.seq === null) return [[name, data]];
    if (this.resumePoint && data.seq <= this.resumePoint.seq) return [];
    this.pending.set(data.seq, [name, data]);
    if (this.pending.size > MAX_PENDING) this.reset();
    return this.takeDeliverable();
  }

  // Whether an event is missing between the delivered and the pending ones, or the resume point is unknown.
  get hasGap() {
    return this.resumePoint === null || this.pending.size > 0;
  }

  // Handles the reply to `join_room`; returns the deliverable events, or null if everything has to be loaded again.
  resume({ epoch, recovered, missed }) {
    if (!recovered) return null;
    this.resumePoint.epoch = epoch;
    return missed.flatMap(({ event, data }) => this.add(event, data));
  }

  // Sets a new resume point after the list was loaded; returns the pending events that follow it.
  restartAt(epoch, seq) {
    this.resumePoint = { epoch, seq };
    for (const pendingSeq of this.pending.keys()) if (pendingSeq <= seq) this.pending.delete(pendingSeq);
    return this.takeDeliverable();
  }

  reset() {
    this.resumePoint = null;
    this.pending.clear();
  }

  takeDeliverable() {
    const events = [];
    while (this.resumePoint && this.pending.has(this.resumePoint.seq + 1)) {
      this.resumePoint.seq += 1;
      events.push(this.pending.get(this.resumePoint.seq));
      this.pending.delete(this.resumePoint.seq);
    }
    return events;
  }
}
