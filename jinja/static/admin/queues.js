// Tables of the fallback queue and the dead letters: select rows, then send them again or discard them.
import { callApi } from "../api.js";
import { formatCount } from "../plurals.js";
import { confirmDialog } from "./confirm.js";
import { byId, el, formatTime, reconcileChildren, setText, shortId } from "./dom.js";

const MAX_ROWS = 100;
const ACTIONS = ["replay", "discard"];
const QUEUES = {
  fallback: {
    cells: (item) => [item.topic, shortId(item.eventId), item.status, String(item.retryCount), item.lastError ?? "–", formatTime(item.createdAt)],
    describeItems: (count) => `${formatCount(count, "row")} of the fallback queue`,
  },
  "dead-letters": {
    cells: (item) => [item.origin, item.position, item.reason, item.payload ?? "–", formatTime(item.createdAt)],
    describeItems: (count) => formatCount(count, "dead letter"),
  },
};

export class QueueTable {
  // `onChanged` is called after rows were sent again or discarded.
  constructor(name, onChanged) {
    this.name = name;
    this.onChanged = onChanged;
    this.body = byId(`${name}-rows`);
    this.result = byId(`${name}-result`);
    this.selectAll = byId(`${name}-all`);
    this.selectAll.addEventListener("change", () => {
      for (const checkbox of this.checkboxes()) checkbox.checked = this.selectAll.checked;
      this.updateSelection();
    });
    this.body.addEventListener("change", () => this.updateSelection());
    for (const action of ACTIONS) {
      byId(`${name}-${action}`).addEventListener("click", () => this.runAction(action));
    }
    this.updateSelection();
  }

  checkboxes() {
    return [...this.body.querySelectorAll("input[type=checkbox]")];
  }

  selectedIds() {
    return this.checkboxes().filter((checkbox) => checkbox.checked).map((checkbox) => checkbox.value);
  }

  updateSelection() {
    const selectedCount = this.selectedIds().length;
    for (const action of ACTIONS) byId(`${this.name}-${action}`).disabled = selectedCount === 0;
    this.selectAll.checked = selectedCount > 0 && selectedCount === this.checkboxes().length;
    this.selectAll.indeterminate = selectedCount > 0 && !this.selectAll.checked;
  }

  createRow(item) {
    const checkbox = el("input", { type: "checkbox", value: item.id, "aria-label": `Select ${item.id}` });
    return el("tr", {}, el("td", {}, checkbox), ...QUEUES[this.name].cells(item).map((text) => el("td", {}, text)));
  }

  // Rows are kept by id, so the selection survives.
  async refresh() {
    const page = await callApi("GET", `/api/admin/${this.name}?limit=${MAX_ROWS}`);
    reconcileChildren(this.body, page.items, (item) => item.id, (item) => this.createRow(item), (row, item) => {
      QUEUES[this.name].cells(item).forEach((text, index) => setText(row.children[index + 1], text));
    });
    byId(`${this.name}-none`).hidden = page.items.length > 0;
    setText(byId(`${this.name}-count`), page.nextCursor ? `${page.items.length}+` : page.items.length);
    this.updateSelection();
  }

  async runAction(action) {
    const ids = this.selectedIds();
    const label = action === "replay" ? "Send again" : "Discard for good";
    const { describeItems } = QUEUES[this.name];
    if (!ids.length || !(await confirmDialog(`${label}: ${describeItems(ids.length)}?`, `${label} (${ids.length})`))) return;
    try {
      const { changed } = await callApi("POST", `/api/admin/${this.name}/${action}`, { ids });
      setText(this.result, `${changed} of ${ids.length} ${action === "replay" ? "sent again" : "discarded"}`);
    } catch (error) {
      setText(this.result, error.message);
    }
    await this.onChanged();
  }
}
