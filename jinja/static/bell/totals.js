// How many rows each view has: what the server counted, moved by what came since. Pure.

export class Totals {
  types = null; // {LIKE: {count, unread}}; null: not asked yet
  stale = true; // something came whose effect we cannot tell: ask again

  load(types) {
    this.types = structuredClone(types);
    this.stale = false;
  }

  // A row we know became another; either may be null.
  moved(before, after) {
    if (!this.types) return;
    for (const [row, sign] of [[before, -1], [after, 1]]) {
      if (!row || row.gone) continue;
      const one = (this.types[row.type] ??= { count: 0, unread: 0 });
      one.count += sign;
      if (!row.isRead) one.unread += sign;
    }
  }

  // {all, unread, mentions} of one type, or of all; null while nothing is known.
  of(type) {
    if (!this.types) return null;
    const all = { all: 0, unread: 0, mentions: this.types.MENTION?.count ?? 0 };
    for (const [name, one] of Object.entries(this.types)) {
      if (type && name !== type) continue;
      all.all += one.count;
      all.unread += one.unread;
    }
    return all;
  }
}
