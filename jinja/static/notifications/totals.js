// Number of rows of each view: loaded from the server, then updated by each change of a row. Pure.

export class ViewTotals {
  byType = null; // {LIKE: {count, unread}}; null: not loaded yet
  isStale = true; // an event arrived whose effect is not known: load again

  load(byType) {
    this.byType = structuredClone(byType);
    this.isStale = false;
  }

  // A row changed from `before` to `after`; either may be null.
  applyChange(before, after) {
    if (!this.byType) return;
    for (const [row, sign] of [[before, -1], [after, 1]]) {
      if (!row || row.isRemoved || row.snoozedUntil) continue;
      const total = (this.byType[row.type] ??= { count: 0, unread: 0 });
      total.count += sign;
      if (!row.isRead) total.unread += sign;
    }
  }

  // {all, unread, mentions} of one type, or of all types if `type` is empty; null before the first load.
  countsOf(type) {
    if (!this.byType) return null;
    const counts = { all: 0, unread: 0, mentions: this.byType.MENTION?.count ?? 0 };
    for (const [name, total] of Object.entries(this.byType)) {
      if (type && name !== type) continue;
      counts.all += total.count;
      counts.unread += total.unread;
    }
    return counts;
  }
}
