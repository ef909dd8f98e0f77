// What the list knows and shows. Pure: no page, no network, no clock; tests drive it alone.
//
// Rows come by id with a rising version; an older version never replaces a newer one. What the person
// did and the server has not confirmed lies over a row (`wishes`) and is taken off if it fails.
// While somebody looks, rows change in place and new ones wait (`fresh`) until they are asked for.
import { fits, later, rowOf } from "./rows.js";
import { Totals } from "./totals.js";

const NONE = "~"; // after every time: nothing of this view is loaded

export class Store {
  rows = new Map(); // id -> row as the server has it
  wishes = new Map(); // id -> what it will be
  gone = new Map(); // id -> version with which it went
  view = { tab: "all", type: "" };
  order = []; // ids shown
  fresh = new Set(); // ids that wait behind the pill
  cursor = null;
  done = false; // the end of the list is known
  oldest = NONE; // `when` of the last row loaded
  listed = new Set(); // ids that the server listed for this view
  totals = new Totals();
  looking = false;

  row(id) {
    const row = this.rows.get(id);
    return row && { ...row, ...this.wishes.get(id) };
  }

  // A part of the list, as REST has it. `asked`: the ids we had when we asked for the first part;
  // those of them that are not in it are no more.
  load({ notifications, nextCursor }, asked) {
    const first = asked !== undefined;
    const listed = new Set(notifications.map((said) => said.id));
    const last = nextCursor === null ? "" : notifications.at(-1).updatedAt;
    for (const id of asked ?? []) {
      if (this.shows(id) && !listed.has(id) && this.row(id).when > last) this.rows.delete(id);
    }
    for (const said of notifications) this.put(rowOf(said, "loaded", this.rows.get(said.id)));
    this.cursor = nextCursor;
    this.done = nextCursor === null;
    if (first) this.listed.clear();
    for (const id of listed) this.listed.add(id);
    if (notifications.length) this.oldest = rowOf(notifications.at(-1)).when;
    if (first) this.settle();
    else this.append(notifications.map((said) => said.id));
  }

  append(ids) {
    const shown = new Set([...this.order, ...this.fresh]);
    this.order.push(...ids.filter((id) => !shown.has(id) && this.shows(id)));
  }

  // A frame. The totals follow what is sure and are stale otherwise.
  apply(event, data) {
    if (event === "notification_removed") return this.remove(data.id, data.version);
    const before = this.row(data.id);
    if (!this.put(rowOf(data, event, this.rows.get(data.id)))) return;
    const sure = before || (event === "notification" && data.version === 1);
    if (sure) this.totals.moved(before, this.row(data.id));
    else this.totals.stale = true;
    this.place(data.id);
  }

  put(row) {
    const known = this.rows.get(row.id);
    if (known && known.version > row.version) return false;
    if (this.gone.get(row.id) >= row.version) return false;
    this.gone.delete(row.id);
    this.rows.set(row.id, row);
    return true;
  }

  remove(id, version) {
    const known = this.rows.get(id);
    if (this.gone.has(id) || (known && known.version > version)) return;
    this.gone.set(id, version);
    if (known) this.totals.moved(this.row(id), null);
    else this.totals.stale = true;
    this.fresh.delete(id);
    // Somebody may read it just now: it stays as a line that says so.
    if (this.looking && this.order.includes(id) && !this.wishes.get(id)?.gone) this.rows.set(id, { ...known, gone: true });
    else this.drop(id);
  }

  drop(id) {
    this.rows.delete(id);
    this.order = this.order.filter((one) => one !== id);
  }

  place(id) {
    if (this.order.includes(id)) {
      if (!this.looking) this.settle();
    } else if (this.belongs(id)) {
      if (this.looking && this.order.length) this.fresh.add(id);
      else this.settle();
    }
  }

  shows(id) {
    const row = this.row(id);
    return Boolean(row) && !row.gone && fits(row, this.view);
  }

  // In this view, and not further down than what is loaded. Many rows may have one time: they were
  // written together. Of those that share the last one's, only the listed are above the cursor.
  belongs(id) {
    return this.shows(id) && (this.done || this.listed.has(id) || this.row(id).when > this.oldest);
  }

  // Everything in its place: what nobody looks at may move, and who presses the pill wants it.
  settle() {
    for (const [id, row] of this.rows) if (row.gone) this.rows.delete(id);
    const ids = [...this.rows.keys()].filter((id) => this.belongs(id));
    this.order = ids.sort((a, b) => later(this.rows.get(a), this.rows.get(b)));
    this.fresh.clear();
  }

  look(view) {
    this.view = view;
    this.order = [];
    this.fresh.clear();
    this.cursor = null;
    this.done = false;
    this.oldest = NONE;
    this.listed.clear();
  }

  // Something the person does. What no longer fits the view leaves it at once.
  wish(id, change) {
    const before = this.row(id);
    if (!before) return;
    this.wishes.set(id, { ...this.wishes.get(id), ...change });
    this.totals.moved(before, this.row(id));
    if (!this.shows(id)) this.order = this.order.filter((one) => one !== id);
  }

  // It failed: as if nothing had been.
  withdraw(id, place) {
    const before = this.row(id);
    this.wishes.delete(id);
    if (!before) return;
    this.totals.moved(before, this.row(id));
    if (this.shows(id) && !this.order.includes(id)) this.order.splice(place ?? 0, 0, id);
  }

  // It was done; `said` is the row as it reads now.
  confirm(id, said) {
    const before = this.row(id);
    this.wishes.delete(id);
    if (said?.archivedAt) {
      this.gone.set(id, said.version);
      this.drop(id);
    } else if (said) {
      this.put(rowOf(said, "loaded", this.rows.get(id)));
    }
    if (before) this.totals.moved(before, this.row(id) ?? null);
    else this.totals.stale = true;
    if (said && !said.archivedAt) this.place(id);
  }

  unread() {
    return [...this.rows.keys()].filter((id) => !this.row(id).isRead && !this.row(id).gone);
  }

  newest() {
    return Math.max(0, ...[...this.rows.values()].map((row) => row.seq));
  }

  counts() {
    return this.totals.of(this.view.tab === "mentions" ? "" : this.view.type);
  }
}
