// The list of notifications, in the panel and on the page /notifications: renders a NotificationStore,
// loads it from the REST API and applies client events to it.
import { callApi, currentUserId } from "../api.js";
import { NotificationActions } from "./actions.js";
import { DayHeadings } from "./dayHeadings.js";
import { createDetails } from "./details.js";
import { el } from "./dom.js";
import { emptyText, loadError } from "./emptyStates.js";
import { startKeyboardShortcuts, startShortcutHelp } from "./keyboardShortcuts.js";
import { renderListItem } from "./listItem.js";
import { createSnoozeChoices } from "./snooze.js";
import { NotificationStore } from "./store.js";
import { startTabs } from "./tabs.js";
import { listApiUrl, listPageUrl, readSavedPosition, savePosition } from "./urls.js";

const PAGE_SIZE = 20;
const MAX_PAGE_SIZE = 100;
const SKELETON_DELAY_MS = 200; // a skeleton that flashes is worse than none
const TOTALS_DELAY_MS = 500;

export class NotificationList {
  store = new NotificationStore();
  items = new Map(); // id -> li
  renderedStates = new Map(); // id -> JSON of the state rendered last, to skip items that did not change
  expandedDetails = new Map(); // id -> "who", "why" or "snooze"
  loadCount = 0;

  // `onChange` is called with the displayed rows after each rendering while the list is visible.
  constructor(root, onChange) {
    this.root = root;
    this.onChange = onChange;
    this.dayHeadings = root.dataset.inbox === "page" ? new DayHeadings() : null;
    const part = (name) => root.querySelector(`[data-${name}]`);
    this.parts = { list: part("list"), newItemsBanner: part("new-items"), state: part("state"), more: part("more"), body: part("body") };
    this.actions = new NotificationActions(this, part("undo"));
    this.tabs = startTabs(root, (view) => this.selectView(view));
    this.store.setView(this.tabs.currentView());
    this.parts.newItemsBanner.addEventListener("click", () => this.showNewItems());
    this.parts.more.addEventListener("click", (event) => {
      event.preventDefault();
      this.loadMore();
    });
    part("read-all").addEventListener("submit", (event) => {
      event.preventDefault();
      this.actions.markAllRead();
    });
    this.itemActions = {
      toggleRead: (id) => this.actions.toggleRead(id), archive: (id) => this.actions.archive(id), remove: (id) => this.actions.remove(id),
      markOpened: (id) => this.actions.markOpened(id), toggleDetails: (id, details) => this.toggleDetails(id, details),
      cancelSnooze: (id) => this.actions.cancelSnooze(id), openSnooze: (id) => this.openSnooze(id),
      markAllRead: () => this.actions.markAllRead(), toggleHelp: startShortcutHelp(root),
    };
    startKeyboardShortcuts(this, this.itemActions);
  }

  get isViewing() {
    return this.store.isViewing;
  }

  // Number of items displayed, or to restore after the user navigated back.
  get size() {
    return Math.max(this.store.displayedIds.length, this.savedPosition?.count ?? 0);
  }

  // On the page /notifications: replaces the server-rendered items and restores the scroll position.
  async takeOverServerRows() {
    this.hasServerRows = true;
    this.savedPosition = readSavedPosition();
    addEventListener("pagehide", () => savePosition(this.size));
    await this.load();
  }

  // While the list is visible no item moves by itself.
  setViewing(isViewing) {
    this.store.isViewing = isViewing;
    if (isViewing) return;
    this.store.showAll();
    this.render();
  }

  selectView(view) {
    this.store.setView(view);
    this.savedPosition = null;
    this.parts.body.scrollTop = 0;
    if (this.root.dataset.inbox === "page") history.replaceState(null, "", listPageUrl(view));
    this.render();
    return this.load();
  }

  // Loads the list again in its current length; returns whether it worked. Of overlapping loads only the last one
  // counts: the socket may join and trigger a second one before the first reply arrives.
  async load() {
    const limit = Math.min(MAX_PAGE_SIZE, Math.max(PAGE_SIZE, this.size));
    const loadNumber = ++this.loadCount;
    const knownIds = [...this.store.rows.keys()];
    const skeletonTimer = setTimeout(() => this.renderState({ isLoading: true }), SKELETON_DELAY_MS);
    try {
      const [page, totals] = await Promise.all([
        callApi("GET", listApiUrl(this.store.view, limit)),
        callApi("GET", `/api/notifications/${currentUserId}/totals`),
      ]);
      if (loadNumber !== this.loadCount) return true;
      this.store.loadPage(page, knownIds);
      this.store.totals.load(totals.types);
      this.lastError = null;
    } catch (error) {
      if (loadNumber !== this.loadCount) return true;
      this.lastError = error;
    } finally {
      clearTimeout(skeletonTimer);
    }
    this.render();
    if (this.lastError === null) this.restoreScroll();
    return this.lastError === null;
  }

  restoreScroll() {
    if (this.savedPosition) scrollTo(0, this.savedPosition.y);
    this.savedPosition = null;
  }

  async loadMore() {
    const { more } = this.parts;
    const firstNewIndex = this.store.displayedIds.length;
    more.setAttribute("aria-busy", "true");
    try {
      this.store.loadPage(await callApi("GET", `${listApiUrl(this.store.view, PAGE_SIZE)}&cursor=${encodeURIComponent(this.store.cursor)}`));
      this.render();
      this.items.get(this.store.displayedIds[firstNewIndex])?.querySelector("a")?.focus({ preventScroll: true });
    } catch (error) {
      this.actions.showError(error);
    } finally {
      more.removeAttribute("aria-busy");
    }
  }

  apply(eventName, data) {
    this.store.apply(eventName, data);
    this.scheduleRender();
  }

  // Several changes within one frame are rendered once.
  scheduleRender() {
    this.renderRequest ??= requestAnimationFrame(() => this.render());
    if (document.visibilityState === "hidden") setTimeout(() => this.renderRequest && this.render(), 0);
  }

  showNewItems() {
    const firstNewId = [...this.store.pendingRows][0];
    this.store.showAll();
    this.render();
    this.parts.body.scrollTop = 0;
    if (this.root.dataset.inbox === "page") this.root.scrollIntoView({ block: "start" });
    this.items.get(firstNewId ?? "")?.parentElement?.querySelector("a")?.focus({ preventScroll: true });
  }

  render() {
    if (this.renderRequest) cancelAnimationFrame(this.renderRequest);
    this.renderRequest = null;
    const { store, parts } = this;
    if (this.hasServerRows && !store.cursor && !store.isComplete) return; // keep the server's items until the first load
    if (this.hasServerRows) parts.list.replaceChildren();
    this.hasServerRows = false;
    this.renderItems();
    parts.newItemsBanner.hidden = store.pendingRows.size === 0;
    parts.newItemsBanner.textContent = `${store.pendingRows.size} new`;
    parts.more.parentElement.hidden = store.isComplete || store.displayedIds.length === 0;
    this.renderState();
    this.tabs.renderCounts(store.counts());
    this.refreshTotals();
    if (this.isViewing) this.onChange(store.displayedIds.map((id) => store.row(id)));
  }

  // Removes before it inserts, so that items that stay are not moved: an element that moves loses the focus.
  renderItems() {
    const { list } = this.parts;
    const items = this.store.displayedIds.map((id) => ({ li: this.renderItem(id), placedAt: this.store.placedAt.get(id) ?? this.store.row(id).updatedAt }));
    const nodes = this.dayHeadings ? this.dayHeadings.insertInto(items) : items.map(({ li }) => li);
    const keptNodes = new Set(nodes);
    for (const node of [...list.children]) if (!keptNodes.has(node)) this.removeItem(node);
    nodes.forEach((node, index) => {
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
  }

  renderItem(id) {
    const row = this.store.row(id);
    let li = this.items.get(id);
    if (!li) this.items.set(id, (li = el("li", { tabindex: "-1" })));
    const state = JSON.stringify([row, this.expandedDetails.get(id)]);
    if (this.renderedStates.get(id) !== state) renderListItem(li, row, this.itemActions, this.expandedDetails.get(id));
    this.renderedStates.set(id, state);
    return li;
  }

  // If the focus was inside, it moves to the previous item.
  removeItem(li) {
    const id = li.dataset.notification;
    const hadFocus = li.contains(document.activeElement);
    const previous = li.previousElementSibling;
    li.remove();
    for (const map of [this.items, this.renderedStates, this.expandedDetails]) map.delete(id);
    if (hadFocus) (previous?.querySelector("a") ?? this.root.querySelector("[data-title]")).focus({ preventScroll: true });
  }

  // Loads the totals again after an event whose effect on them is not known.
  refreshTotals() {
    if (!this.isViewing || !this.store.totals.isStale || this.totalsTimer) return;
    this.totalsTimer = setTimeout(async () => {
      const reply = await callApi("GET", `/api/notifications/${currentUserId}/totals`).catch(() => null);
      this.totalsTimer = null;
      if (reply) this.store.totals.load(reply.types);
      this.tabs.renderCounts(this.store.counts());
    }, TOTALS_DELAY_MS);
  }

  // Renders what is shown instead of items: a skeleton while loading, an error, or the text for an empty view.
  renderState({ isLoading = false } = {}) {
    const { state, list } = this.parts;
    const isEmpty = this.store.displayedIds.length === 0;
    list.classList.toggle("loading", isLoading && list.children.length === 0);
    const content = isEmpty && (this.lastError ? loadError(() => this.load()) : this.store.isComplete && [emptyText(this.store.view)]);
    state.hidden = !content;
    if (content) state.replaceChildren(...content);
  }

  toggleDetails(id, details) {
    const li = this.items.get(id);
    const isExpanded = this.expandedDetails.get(id) === details;
    li.querySelector(":scope > .group-details")?.remove();
    if (isExpanded) this.expandedDetails.delete(id);
    else this.expandedDetails.set(id, details);
    for (const button of li.querySelectorAll("[aria-expanded]")) button.setAttribute("aria-expanded", "false");
    if (!isExpanded) li.append(details === "snooze" ? createSnoozeChoices((until) => this.actions.snooze(id, until)) : createDetails(details, id));
    this.renderItem(id);
  }

  // By keyboard: the first choice takes the focus.
  openSnooze(id) {
    if (this.store.row(id).snoozedUntil) return;
    if (this.expandedDetails.get(id) !== "snooze") this.toggleDetails(id, "snooze");
    this.items.get(id).querySelector(".snooze-choices button").focus();
  }
}
