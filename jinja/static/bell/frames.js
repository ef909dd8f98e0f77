// Frames in their order: each once, none skipped. Pure; socket.js brings them, bell.js applies what is due.
// A person's frames are numbered without gaps, so a number that is too high means that one was lost.

// More than the server's own history gives back: past it a fresh start is cheaper.
const MOST = 300;

export class Frames {
  since = null; // {epoch, seq}: how far we have come; null: not known yet
  waiting = new Map(); // seq -> [event, data]: came too early

  // What is due now that this one came, in order.
  take(event, data) {
    // A critical frame may come early and without a number; its row's version tells it from its copy.
    if (data.seq === undefined || data.seq === null) return [[event, data]];
    if (this.since && data.seq <= this.since.seq) return [];
    this.waiting.set(data.seq, [event, data]);
    if (this.waiting.size > MOST) this.forget();
    return this.due();
  }

  // Something is missing between what we have and what waits.
  get gap() {
    return this.since === null || this.waiting.size > 0;
  }

  // The answer to join_room: what is due, or null if all has to be loaded afresh.
  caughtUp({ epoch, recovered, missed }) {
    if (!recovered) return null;
    this.since.epoch = epoch;
    return missed.flatMap(({ event, data }) => this.take(event, data));
  }

  // The list was loaded after the server stood at `seq`.
  afresh(epoch, seq) {
    this.since = { epoch, seq };
    for (const early of this.waiting.keys()) if (early <= seq) this.waiting.delete(early);
    return this.due();
  }

  forget() {
    this.since = null;
    this.waiting.clear();
  }

  due() {
    const found = [];
    while (this.since && this.waiting.has(this.since.seq + 1)) {
      this.since.seq += 1;
      found.push(this.waiting.get(this.since.seq));
      this.waiting.delete(this.since.seq);
    }
    return found;
  }
}
