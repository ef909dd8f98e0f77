// The two queues that wait for a person: select, then send again or give up.
import { call } from "../api.js";
import { counted } from "../words.js";
import { confirmed } from "./confirm.js";
import { byId, clock, el, reconcile, say, short } from "./dom.js";

const LIMIT = 100;
const QUEUES = {
  fallback: {
    cells: (row) => [row.topic, short(row.eventId), row.status, String(row.retryCount), row.lastError ?? "–", clock(row.createdAt)],
    things: (many) => `${counted(many, "row")} of the fallback queue`,
  },
  "dead-letters": {
    cells: (row) => [row.origin, row.position, row.reason, row.payload ?? "–", clock(row.createdAt)],
    things: (many) => counted(many, "dead letter"),
  },
};

export class Queue {
  constructor(name, after) {
    this.name = name;
    this.after = after;
    this.body = byId(`${name}-rows`);
    this.said = byId(`${name}-said`);
    this.all = byId(`${name}-all`);
    this.all.addEventListener("change", () => {
      for (const box of this.boxes()) box.checked = this.all.checked;
      this.count();
    });
    this.body.addEventListener("change", () => this.count());
    for (const doing of ["replay", "discard"]) {
      byId(`${name}-${doing}`).addEventListener("click", () => this.act(doing));
    }
    this.count();
  }

  boxes() {
    return [...this.body.querySelectorAll("input[type=checkbox]")];
  }

  chosen() {
    return this.boxes().filter((box) => box.checked).map((box) => box.value);
  }

  count() {
    const many = this.chosen().length;
    for (const doing of ["replay", "discard"]) byId(`${this.name}-${doing}`).disabled = many === 0;
    this.all.checked = many > 0 && many === this.boxes().length;
    this.all.indeterminate = many > 0 && !this.all.checked;
  }

  row(item) {
    const box = el("input", { type: "checkbox", value: item.id, "aria-label": `Select ${item.id}` });
    return el("tr", {}, el("td", {}, box), ...QUEUES[this.name].cells(item).map((text) => el("td", {}, text)));
  }

  // What is selected stays so: rows are kept by their id.
  async paint() {
    const said = await call("GET", `/api/admin/${this.name}?limit=${LIMIT}`);
    reconcile(this.body, said.items, (item) => item.id, (item) => this.row(item), (line, item) => {
      QUEUES[this.name].cells(item).forEach((text, at) => say(line.children[at + 1], text));
    });
    byId(`${this.name}-none`).hidden = said.items.length > 0;
    say(byId(`${this.name}-count`), said.nextCursor ? `${said.items.length}+` : said.items.length);
    this.count();
  }

  async act(doing) {
    const ids = this.chosen();
    const word = doing === "replay" ? "Send again" : "Discard for good";
    const { things } = QUEUES[this.name];
    if (!ids.length || !(await confirmed(`${word}: ${things(ids.length)}?`, `${word} (${ids.length})`))) return;
    try {
      const { changed } = await call("POST", `/api/admin/${this.name}/${doing}`, { ids });
      say(this.said, `${changed} of ${ids.length} ${doing === "replay" ? "sent again" : "discarded"}`);
    } catch (error) {
      say(this.said, error.message);
    }
    await this.after();
  }
}
