// The list of notifications: the same in the panel and on the page /notifications.
import { call, myId } from "../api.js";
import { el } from "./dom.js";
import { fill } from "./item.js";
import { startHelp, startKeys } from "./keys.js";
import { opened } from "./people.js";
import { Store } from "./store.js";
import { empty, failed } from "./states.js";
import { left, leave, partOf, pathOf } from "./places.js";
import { startTabs } from "./tabs.js";
import { Verbs } from "./verbs.js";

const PART = 20;
const MOST = 100;
const PATIENCE_MS = 200; // a skeleton that flashes is worse than none

export class List {
  store = new Store();
  items = new Map(); // id -> li
  drawn = new Map(); // id -> what was drawn last, to leave alone what is the same
  open = new Map(); // id -> "who" or "why"
  asks = 0;

  // `heard` is told what the list now shows: {shown: rows}.
  constructor(root, heard) {
    this.root = root;
    this.heard = heard;
    const part = (name) => root.querySelector(`[data-${name}]`);
    this.parts = { list: part("list"), pill: part("pill"), state: part("state"), more: part("more"), body: part("body") };
    this.verbs = new Verbs(this, part("undo"));
    this.tabs = startTabs(root, (view) => this.choose(view));
    this.store.look(this.tabs.view());
    this.parts.pill.addEventListener("click", () => this.showFresh());
    this.parts.more.addEventListener("click", (event) => {
      event.preventDefault();
      this.loadMore();
    });
    part("read-all").addEventListener("submit", (event) => {
      event.preventDefault();
      this.verbs.markAll();
    });
    this.acts = {
      toggle: (id) => this.verbs.toggle(id), archive: (id) => this.verbs.archive(id), remove: (id) => this.verbs.remove(id),
      opened: (id) => this.verbs.opened(id), expand: (id, what) => this.expand(id, what),
      markAll: () => this.verbs.markAll(), help: startHelp(root),
    };
    startKeys(this, this.acts);
  }

  get looking() {
    return this.store.looking;
  }

  // How many lines there are, or were when they left.
  get size() {
    return Math.max(this.store.order.length, this.back?.count ?? 0);
  }

  // On a page of its own: takes over the lines that the server wrote, where the reader left them.
  async start() {
    this.served = true;
    this.back = left();
    addEventListener("pagehide", () => leave(this.size));
    await this.load();
  }

  // While somebody looks nothing moves by itself.
  look(yes) {
    this.store.looking = yes;
    if (yes) return;
    this.store.settle();
    this.paint();
  }

  choose(view) {
    this.store.look(view);
    this.back = null;
    this.parts.body.scrollTop = 0;
    if (this.root.dataset.inbox === "page") history.replaceState(null, "", pathOf(view));
    this.paint();
    return this.load();
  }

  // The list afresh, as long as it is; whether it worked. What was asked later
  // wins: the socket that joins may ask again before the first answer is here.
  async load() {
    const limit = Math.min(MOST, Math.max(PART, this.size));
    const ask = ++this.asks;
    const asked = [...this.store.rows.keys()];
    const slow = setTimeout(() => this.say("loading"), PATIENCE_MS);
    try {
      const [part, totals] = await Promise.all([call("GET", partOf(this.store.view, limit)), call("GET", `/api/notifications/${myId}/totals`)]);
      if (ask !== this.asks) return true;
      this.store.load(part, asked);
      this.store.totals.load(totals.types);
      this.failure = null;
    } catch (error) {
      if (ask !== this.asks) return true;
      this.failure = error;
    } finally {
      clearTimeout(slow);
    }
    this.paint();
    if (this.failure === null) this.comeBack();
    return this.failure === null;
  }

  // Once: afterwards the place is theirs to choose.
  comeBack() {
    if (this.back) scrollTo(0, this.back.y);
    this.back = null;
  }

  async loadMore() {
    const { more, list } = this.parts;
    const from = list.children.length;
    more.setAttribute("aria-busy", "true");
    try {
      this.store.load(await call("GET", `${partOf(this.store.view, PART)}&cursor=${encodeURIComponent(this.store.cursor)}`));
      this.paint();
      list.children[from]?.querySelector("a")?.focus({ preventScroll: true });
    } catch (error) {
      this.verbs.complain(error);
    } finally {
      more.removeAttribute("aria-busy");
    }
  }

  apply(event, data) {
    this.store.apply(event, data);
    this.soon();
  }

  // Many changes of one moment are painted once.
  soon() {
    this.waits ??= requestAnimationFrame(() => this.paint());
    if (document.visibilityState === "hidden") setTimeout(() => this.waits && this.paint(), 0);
  }

  showFresh() {
    const first = [...this.store.fresh][0];
    this.store.settle();
    this.paint();
    this.parts.body.scrollTop = 0;
    if (this.root.dataset.inbox === "page") this.root.scrollIntoView({ block: "start" });
    this.items.get(first ?? "")?.parentElement?.querySelector("a")?.focus({ preventScroll: true });
  }

  paint() {
    if (this.waits) cancelAnimationFrame(this.waits);
    this.waits = null;
    const { store, parts } = this;
    if (this.served && !store.cursor && !store.done) return; // the server's lines stay until we have ours
    if (this.served) parts.list.replaceChildren();
    this.served = false;
    store.order.forEach((id, place) => {
      const li = this.item(id);
      if (parts.list.children[place] !== li) parts.list.insertBefore(li, parts.list.children[place] ?? null);
    });
    for (const li of [...parts.list.children].slice(store.order.length)) this.forget(li);
    parts.pill.hidden = store.fresh.size === 0;
    parts.pill.textContent = `${store.fresh.size} new`;
    parts.more.parentElement.hidden = store.done || store.order.length === 0;
    this.say();
    this.tabs.paint(store.counts());
    this.recount();
    if (this.looking) this.heard(store.order.map((id) => store.row(id)));
  }

  item(id) {
    const row = this.store.row(id);
    let li = this.items.get(id);
    if (!li) this.items.set(id, (li = el("li", { tabindex: "-1" })));
    const now = JSON.stringify([row, this.open.get(id)]);
    if (this.drawn.get(id) !== now) fill(li, row, this.acts, this.open.get(id));
    this.drawn.set(id, now);
    return li;
  }

  // The focus goes to the line that takes its place.
  forget(li) {
    const id = li.dataset.notification;
    const had = li.contains(document.activeElement);
    const beside = li.previousElementSibling;
    li.remove();
    for (const kept of [this.items, this.drawn, this.open]) kept.delete(id);
    if (had) (beside?.querySelector("a") ?? this.root.querySelector("[data-title]")).focus({ preventScroll: true });
  }

  // Ask for the totals again when something came whose effect on them is not known.
  recount() {
    if (!this.looking || !this.store.totals.stale || this.counting) return;
    this.counting = setTimeout(async () => {
      const said = await call("GET", `/api/notifications/${myId}/totals`).catch(() => null);
      this.counting = null;
      if (said) this.store.totals.load(said.types);
      this.tabs.paint(this.store.counts());
    }, 500);
  }

  say(what) {
    const { state, list } = this.parts;
    const bare = this.store.order.length === 0;
    list.classList.toggle("loading", what === "loading" && list.children.length === 0);
    const words = bare && (this.failure ? failed(() => this.load()) : this.store.done && [empty(this.store.view)]);
    state.hidden = !words;
    if (words) state.replaceChildren(...words);
  }

  expand(id, what) {
    const li = this.items.get(id);
    const again = this.open.get(id) === what;
    li.querySelector(":scope > .group-more")?.remove();
    if (again) this.open.delete(id);
    else this.open.set(id, what);
    for (const button of li.querySelectorAll("[aria-expanded]")) button.setAttribute("aria-expanded", "false");
    if (!again) li.append(opened(what, id));
    this.item(id);
  }
}
