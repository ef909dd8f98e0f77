// What the user can do with notifications. Each change is shown at once, rolled back with a message if the request
// fails, and archiving, snoozing and marking all as read can be undone.
import { callApi, currentUserId } from "../api.js";
import { el } from "./dom.js";
import { formatSnoozeTime } from "./snooze.js";

export class NotificationActions {
  constructor(list, messageBar) {
    this.list = list;
    this.messageBar = messageBar;
  }

  get store() {
    return this.list.store;
  }

  // Applies the change, sends the request, then confirms or rolls back; returns whether it succeeded.
  // `keepalive`: the page is about to be left.
  async send(id, change, method, pathSuffix, { body, keepalive = false } = {}) {
    const index = this.store.displayedIds.indexOf(id);
    this.store.applyOptimistic(id, change);
    this.renderKeepingFocus(id, index);
    try {
      const reply = await callApi(method, `/api/notifications/${id}${pathSuffix}`, body, undefined, { keepalive });
      this.store.confirm(id, reply.notification ?? { archivedAt: "deleted", version: Infinity });
      this.list.render();
      return true;
    } catch (error) {
      this.store.rollback(id, index);
      this.list.render();
      this.showError(error);
      return false;
    }
  }

  // Renders the list; if the focused item, at `index` until now, disappeared, the item after it takes the focus.
  renderKeepingFocus(id, index) {
    const hadFocus = this.list.items.get(id)?.contains(document.activeElement);
    const disappeared = hadFocus && this.store.displayedIds[index] !== id;
    const nextId = disappeared ? (this.store.displayedIds[index] ?? this.store.displayedIds.at(-1)) : null;
    this.list.render();
    if (disappeared) (this.list.items.get(nextId)?.querySelector("a") ?? this.list.root.querySelector("[data-title]")).focus({ preventScroll: true });
  }

  toggleRead(id) {
    const isRead = this.store.row(id).isRead;
    return this.send(id, { isRead: !isRead }, "PATCH", isRead ? "/unread" : "/read");
  }

  markOpened(id) {
    const { isRead, snoozedUntil } = this.store.row(id) ?? {};
    if (!isRead && !snoozedUntil) this.send(id, { isRead: true }, "PATCH", "/read", { keepalive: true });
  }

  archive(id) {
    const index = this.store.displayedIds.indexOf(id);
    const archived = this.send(id, { isRemoved: true }, "PATCH", "/archive");
    this.offerUndo("Archived.", async () => (await archived) && this.putBack(id, index, "PATCH", "/unarchive"));
  }

  snooze(id, until) {
    const index = this.store.displayedIds.indexOf(id);
    const snoozedUntil = until.toISOString();
    const snoozed = this.send(id, { snoozedUntil }, "POST", "/snooze", { body: { until: snoozedUntil } });
    this.offerUndo(`Snoozed until ${formatSnoozeTime(until)}.`, async () => (await snoozed) && this.putBack(id, index, "DELETE", "/snooze"));
  }

  async cancelSnooze(id) {
    if (await this.send(id, { snoozedUntil: null }, "DELETE", "/snooze")) this.showMessage("Moved back to the list.");
  }

  // Undoes what took the item away from the list, and shows it in its former place.
  async putBack(id, index, method, pathSuffix) {
    const { notification } = await callApi(method, `/api/notifications/${id}${pathSuffix}`);
    this.store.confirm(id, notification);
    if (!this.store.displayedIds.includes(id) && this.store.isInView(id)) this.store.displayedIds.splice(Math.max(0, index), 0, id);
    this.store.pendingRows.delete(id);
    this.list.render();
    this.list.items.get(id)?.querySelector("a")?.focus({ preventScroll: true });
  }

  remove(id) {
    return this.send(id, { isRemoved: true }, "DELETE", "");
  }

  // Marks everything up to the newest known event as read; what arrives meanwhile stays unread.
  async markAllRead() {
    const upTo = Math.max(this.store.maxSeq(), this.list.lastClientSeq?.() ?? 0);
    const ids = this.store.unreadIds();
    const displayedIds = [...this.store.displayedIds];
    for (const id of ids) this.store.applyOptimistic(id, { isRead: true });
    this.store.displayedIds = displayedIds; // rows stay displayed, even in the "unread" view
    this.list.render();
    const request = callApi("PATCH", `/api/notifications/${currentUserId}/read-all`, { upTo });
    this.offerUndo("All marked as read.", async () => {
      const { readAt } = await request;
      await callApi("PATCH", `/api/notifications/${currentUserId}/unread-all`, { readAt });
    });
    try {
      await request;
    } catch (error) {
      this.showError(error);
    }
    // The client events about this change may not have arrived yet, so the rows are loaded instead.
    for (const id of ids) this.store.optimisticChanges.delete(id);
    await this.list.load();
  }

  // The message has no time limit: it stays until it is used, closed or replaced.
  offerUndo(text, undo) {
    const onClick = async () => {
      this.hideMessage();
      try {
        await undo();
        await this.list.load();
      } catch (error) {
        this.showError(error);
      }
    };
    this.showMessage(text, el("button.small", { type: "button", on: { click: onClick } }, "Undo"));
  }

  showError(error) {
    const isOffline = error instanceof TypeError;
    this.showMessage(isOffline ? "No connection; nothing was changed." : `${error.message}. Nothing was changed.`);
  }

  showMessage(text, ...buttons) {
    const closeButton = el("button.small.secondary", { type: "button", on: { click: () => this.hideMessage() } }, "Close");
    this.messageBar.replaceChildren(el("span", {}, text), ...buttons, closeButton);
    this.messageBar.hidden = false;
  }

  hideMessage() {
    const hadFocus = this.messageBar.contains(document.activeElement);
    this.messageBar.hidden = true;
    this.messageBar.replaceChildren();
    if (hadFocus) this.list.root.querySelector("[data-title]").focus({ preventScroll: true });
  }
}
