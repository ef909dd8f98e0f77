// What the user can do with notifications. Each change is shown at once, rolled back with a message if the request
// fails, and archiving and marking all as read can be undone.
import { callApi, currentUserId } from "../api.js";
import { el } from "./dom.js";

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
  async send(id, change, method, pathSuffix, keepalive = false) {
    const index = this.store.displayedIds.indexOf(id);
    this.store.applyOptimistic(id, change);
    this.renderKeepingFocus(index);
    try {
      const reply = await callApi(method, `/api/notifications/${id}${pathSuffix}`, undefined, undefined, { keepalive });
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

  // Renders the list; if the focused item at `index` disappeared, the item after it takes the focus.
  renderKeepingFocus(index) {
    const li = this.list.parts.list.children[index];
    const hadFocus = li?.contains(document.activeElement);
    const disappeared = hadFocus && this.store.displayedIds[index] !== li.dataset.notification;
    const nextId = disappeared ? (this.store.displayedIds[index] ?? this.store.displayedIds.at(-1)) : null;
    this.list.render();
    if (disappeared) (this.list.items.get(nextId)?.querySelector("a") ?? this.list.root.querySelector("[data-title]")).focus({ preventScroll: true });
  }

  toggleRead(id) {
    const isRead = this.store.row(id).isRead;
    return this.send(id, { isRead: !isRead }, "PATCH", isRead ? "/unread" : "/read");
  }

  markOpened(id) {
    if (!this.store.row(id)?.isRead) this.send(id, { isRead: true }, "PATCH", "/read", true);
  }

  archive(id) {
    const index = this.store.displayedIds.indexOf(id);
    const row = this.store.row(id);
    const archived = this.send(id, { isRemoved: true }, "PATCH", "/archive");
    this.offerUndo("Archived.", async () => {
      if (!(await archived)) return;
      const { notification } = await callApi("PATCH", `/api/notifications/${id}/unarchive`);
      this.store.confirm(id, notification);
      if (!this.store.displayedIds.includes(id) && this.store.isInView(id)) this.store.displayedIds.splice(Math.max(0, index), 0, id);
      this.store.pendingRows.delete(id);
      this.list.render();
      this.list.items.get(row.id)?.querySelector("a")?.focus({ preventScroll: true });
    });
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
