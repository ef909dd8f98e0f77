// State of a notification list: the rows, the view, and which rows are displayed in which order.
// Pure: no DOM, no network, no clock.
//
// Rows have a rising version; an older version never replaces a newer one. A change by the user that the server has not
// confirmed is kept apart (`optimisticChanges`) and is rolled back on failure. While the list is visible (`isViewing`),
// displayed rows change in place and new ones are collected in `pendingRows` until the user asks for them.
import { compareNewestFirst, matchesView, normalizeRow } from "./normalize.js";
import { ViewTotals } from "./totals.js";

const AFTER_EVERY_TIME = "~"; // sorts after every ISO time: no row of this view is loaded

export class NotificationStore {
  rows = new Map(); // id -> row as the server has it
  optimisticChanges = new Map(); // id -> fields that are expected to change
  removedVersions = new Map(); // id -> version with which the row was removed
  view = { tab: "all", type: "" };
  displayedIds = [];
  placedAt = new Map(); // id -> `updatedAt` by which the row got its place; it may be newer by now
  pendingRows = new Set(); // ids of new rows that are not displayed yet
  cursor = null;
  isComplete = false; // the end of the list is loaded
  oldestLoadedAt = AFTER_EVERY_TIME; // `updatedAt` of the last row loaded
  listedIds = new Set(); // ids that the server listed for this view
  totals = new ViewTotals();
  isViewing = false;

  row(id) {
    const row = this.rows.get(id);
    return row && { ...row, ...this.optimisticChanges.get(id) };
  }

  // Applies a page of the REST API. `knownIds` is given with the first page: the ids that were known when it was
  // requested. Those that the page should contain and does not are deleted.
  loadPage({ notifications, nextCursor }, knownIds) {
    const isFirstPage = knownIds !== undefined;
    const pageIds = new Set(notifications.map(({ id }) => id));
    const pageEnd = nextCursor === null ? "" : notifications.at(-1).updatedAt;
    for (const id of knownIds ?? []) {
      if (this.isInView(id) && !pageIds.has(id) && this.row(id).updatedAt > pageEnd) this.rows.delete(id);
    }
    for (const notification of notifications) this.put(normalizeRow(notification, "loaded", this.rows.get(notification.id)));
    this.cursor = nextCursor;
    this.isComplete = nextCursor === null;
    if (isFirstPage) this.listedIds.clear();
    for (const id of pageIds) this.listedIds.add(id);
    if (notifications.length) this.oldestLoadedAt = normalizeRow(notifications.at(-1)).updatedAt;
    if (isFirstPage) this.showAll();
    else this.append([...pageIds]);
  }

  append(ids) {
    const knownIds = new Set([...this.displayedIds, ...this.pendingRows]);
    const newIds = ids.filter((id) => !knownIds.has(id) && this.isInView(id));
    for (const id of newIds) this.placedAt.set(id, this.row(id).updatedAt);
    this.displayedIds.push(...newIds);
  }

  // Applies a client event. The totals are updated when its effect on them is known, else marked stale.
  apply(eventName, data) {
    if (eventName === "notification_removed") return this.remove(data.id, data.version);
    const before = this.row(data.id);
    if (!this.put(normalizeRow(data, eventName, this.rows.get(data.id)))) return;
    const isEffectKnown = before || (eventName === "notification" && data.version === 1);
    if (isEffectKnown) this.totals.applyChange(before, this.row(data.id));
    else this.totals.isStale = true;
    this.displayOrHold(data.id);
  }

  // Returns whether the row was stored: false if a newer version is known or the row was removed.
  put(row) {
    const known = this.rows.get(row.id);
    if (known && known.version > row.version) return false;
    // Snoozing is published as a removal; the row itself is still in the list of snoozed ones.
    if (!row.snoozedUntil && this.removedVersions.get(row.id) >= row.version) return false;
    this.removedVersions.delete(row.id);
    this.rows.set(row.id, row);
    return true;
  }

  remove(id, version) {
    const known = this.rows.get(id);
    if (this.removedVersions.has(id) || (known && known.version > version)) return;
    if (known?.snoozedUntil && known.version === version) return; // the removal is that of snoozing
    this.removedVersions.set(id, version);
    if (known) this.totals.applyChange(this.row(id), null);
    else this.totals.isStale = true;
    this.pendingRows.delete(id);
    // A displayed row stays while the list is visible, marked as removed, so that nothing moves under the reader's eyes.
    const isDisplayed = this.isViewing && this.displayedIds.includes(id);
    if (isDisplayed && !this.optimisticChanges.get(id)?.isRemoved) this.rows.set(id, { ...known, isRemoved: true });
    else this.drop(id);
  }

  drop(id) {
    this.rows.delete(id);
    this.displayedIds = this.displayedIds.filter((displayedId) => displayedId !== id);
  }

  // A row that belongs to the loaded part of the view is displayed, or pending while the list is visible.
  displayOrHold(id) {
    if (this.displayedIds.includes(id)) {
      if (!this.isViewing) this.showAll();
    } else if (this.isInLoadedPart(id)) {
      if (this.isViewing && this.displayedIds.length) this.pendingRows.add(id);
      else this.showAll();
    }
  }

  isInView(id) {
    const row = this.row(id);
    return Boolean(row) && !row.isRemoved && matchesView(row, this.view);
  }

  // In the view and not after its last loaded row. Rows written in one transaction have the same time: of those with
  // the time of the last row, only the ones that the server listed are before the cursor.
  isInLoadedPart(id) {
    return this.isInView(id) && (this.isComplete || this.listedIds.has(id) || this.row(id).updatedAt > this.oldestLoadedAt);
  }

  // Displays every row of the loaded part, sorted; drops the removed ones.
  showAll() {
    for (const [id, row] of this.rows) if (row.isRemoved) this.rows.delete(id);
    const ids = [...this.rows.keys()].filter((id) => this.isInLoadedPart(id));
    this.displayedIds = ids.sort((a, b) => compareNewestFirst(this.rows.get(a), this.rows.get(b)));
    this.placedAt = new Map(ids.map((id) => [id, this.rows.get(id).updatedAt]));
    this.pendingRows.clear();
  }

  setView(view) {
    this.view = view;
    this.displayedIds = [];
    this.pendingRows.clear();
    this.cursor = null;
    this.isComplete = false;
    this.oldestLoadedAt = AFTER_EVERY_TIME;
    this.listedIds.clear();
  }

  // Applies a change by the user before the server confirms it. A row that leaves the view is hidden at once.
  applyOptimistic(id, change) {
    const before = this.row(id);
    if (!before) return;
    this.optimisticChanges.set(id, { ...this.optimisticChanges.get(id), ...change });
    this.totals.applyChange(before, this.row(id));
    if (!this.isInView(id)) this.displayedIds = this.displayedIds.filter((displayedId) => displayedId !== id);
  }

  // The change failed: restores the row, at its former index.
  rollback(id, index) {
    const before = this.row(id);
    this.optimisticChanges.delete(id);
    if (!before) return;
    this.totals.applyChange(before, this.row(id));
    if (this.isInView(id) && !this.displayedIds.includes(id)) this.displayedIds.splice(index ?? 0, 0, id);
  }

  // The change succeeded; `notification` is the row in the server's reply.
  confirm(id, notification) {
    const before = this.row(id);
    this.optimisticChanges.delete(id);
    if (notification?.archivedAt) {
      this.removedVersions.set(id, notification.version);
      this.drop(id);
    } else if (notification) {
      this.put(normalizeRow(notification, "loaded", this.rows.get(id)));
    }
    if (before) this.totals.applyChange(before, this.row(id) ?? null);
    else this.totals.isStale = true;
    if (notification && !notification.archivedAt) this.displayOrHold(id);
  }

  unreadIds() {
    return [...this.rows.keys()].filter((id) => !this.row(id).isRead && !this.row(id).isRemoved && !this.row(id).snoozedUntil);
  }

  maxSeq() {
    return Math.max(0, ...[...this.rows.values()].map((row) => row.seq));
  }

  counts() {
    return this.totals.countsOf(this.view.tab === "mentions" ? "" : this.view.type);
  }
}
