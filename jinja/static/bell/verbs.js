// What can be done with notifications: shown at once, taken back with a message if it fails, undone on wish.
import { call, myId } from "../api.js";
import { el } from "./dom.js";

export class Verbs {
  constructor(list, bar) {
    this.list = list;
    this.bar = bar;
  }

  get store() {
    return this.list.store;
  }

  // Wish, ask, confirm; or withdraw and say why. `keepalive`: the page is about to be left.
  async ask(id, change, method, verb, keepalive = false) {
    const place = this.store.order.indexOf(id);
    this.store.wish(id, change);
    this.move(place);
    try {
      const said = await call(method, `/api/notifications/${id}${verb}`, undefined, undefined, { keepalive });
      this.store.confirm(id, said.notification ?? { archivedAt: "deleted", version: Infinity });
      this.list.paint();
      return true;
    } catch (error) {
      this.store.withdraw(id, place);
      this.list.paint();
      this.complain(error);
      return false;
    }
  }

  // Paints; if a line left with the focus in it, the one that follows takes the focus.
  move(place) {
    const li = this.list.parts.list.children[place];
    const had = li?.contains(document.activeElement);
    const left = had && this.store.order[place] !== li.dataset.notification;
    const next = left ? (this.store.order[place] ?? this.store.order.at(-1)) : null;
    this.list.paint();
    if (left) (this.list.items.get(next)?.querySelector("a") ?? this.list.root.querySelector("[data-title]")).focus({ preventScroll: true });
  }

  toggle(id) {
    const read = this.store.row(id).isRead;
    return this.ask(id, { isRead: !read }, "PATCH", read ? "/unread" : "/read");
  }

  opened(id) {
    if (!this.store.row(id)?.isRead) this.ask(id, { isRead: true }, "PATCH", "/read", true);
  }

  archive(id) {
    const place = this.store.order.indexOf(id);
    const row = this.store.row(id);
    const done = this.ask(id, { gone: true }, "PATCH", "/archive");
    this.offer("Archived.", async () => {
      if (!(await done)) return;
      const said = await call("PATCH", `/api/notifications/${id}/unarchive`);
      this.store.confirm(id, said.notification);
      if (!this.store.order.includes(id) && this.store.shows(id)) this.store.order.splice(Math.max(0, place), 0, id);
      this.store.fresh.delete(id);
      this.list.paint();
      this.list.items.get(row.id)?.querySelector("a")?.focus({ preventScroll: true });
    });
  }

  remove(id) {
    return this.ask(id, { gone: true }, "DELETE", "");
  }

  // Up to what we know of: what arrives meanwhile stays unread.
  async markAll() {
    const upTo = Math.max(this.store.newest(), this.list.reached?.() ?? 0);
    const ids = this.store.unread();
    const order = [...this.store.order];
    for (const id of ids) this.store.wish(id, { isRead: true });
    this.store.order = order; // read, and still where they are
    this.list.paint();
    const asked = call("PATCH", `/api/notifications/${myId}/read-all`, { upTo });
    this.offer("All marked as read.", async () => {
      const { readAt } = await asked;
      await call("PATCH", `/api/notifications/${myId}/unread-all`, { readAt });
    });
    try {
      await asked;
    } catch (error) {
      this.complain(error);
    }
    // The frames that tell of it may be on their way still; the rows are asked for instead.
    for (const id of ids) this.store.wishes.delete(id);
    await this.list.load(Math.min(100, Math.max(20, order.length)));
  }

  // No time limit: it stays until it is used, closed or replaced.
  offer(sentence, undo) {
    const go = async () => {
      this.hide();
      try {
        await undo();
        await this.list.load(Math.min(100, Math.max(20, this.store.order.length)));
      } catch (error) {
        this.complain(error);
      }
    };
    this.show(sentence, el("button.small", { type: "button", on: { click: go } }, "Undo"));
  }

  complain(error) {
    const offline = error instanceof TypeError;
    this.show(offline ? "No connection; nothing was changed." : `${error.message}. Nothing was changed.`);
  }

  show(sentence, ...more) {
    const close = el("button.small.quiet", { type: "button", on: { click: () => this.hide() } }, "Close");
    this.bar.replaceChildren(el("span", {}, sentence), ...more, close);
    this.bar.hidden = false;
  }

  hide() {
    const had = this.bar.contains(document.activeElement);
    this.bar.hidden = true;
    this.bar.replaceChildren();
    if (had) this.list.root.querySelector("[data-title]").focus({ preventScroll: true });
  }
}
