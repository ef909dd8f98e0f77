// Open windows counting down, and the button that does not wait for them.
import { call } from "../api.js";
import { counted } from "../words.js";
import { confirmed } from "./confirm.js";
import { until } from "./countdown.js";
import { byId, el, number, reconcile, say, short } from "./dom.js";

const LIMIT = 50;

function about(window) {
  if (window.type === "LIKE" || window.type === "COMMENT" || window.type === "POST_SHARE") {
    return el("a", { href: `/posts/${window.object}` }, `post ${short(window.object)}`);
  }
  return short(window.object);
}

function row(window) {
  return el("tr", {}, el("th", { scope: "row" }, window.type), el("td", {}, about(window)),
    el("td", { title: window.recipient }, short(window.recipient)), el("td", { class: "figure" }),
    el("td", {}, window.closing ? "closing" : until(window.dueAt)));
}

function paint(line, window) {
  say(line.children[3], number(window.count));
  const due = line.querySelector("[data-due]");
  if (due && !window.closing) due.dataset.due = window.dueAt;
}

export async function paintWindows() {
  const said = await call("GET", `/api/admin/windows?limit=${LIMIT}`);
  reconcile(byId("windows"), said.items, (one) => `${one.name}${one.closing}`, row, paint);
  byId("no-windows").hidden = said.items.length > 0;
  byId("windows-more").hidden = said.nextCursor === null;
}

export function startWindows(after) {
  byId("flush").addEventListener("click", async () => {
    const many = byId("windows").children.length;
    const open = byId("windows-more").hidden ? counted(many, "open window") : `${many} and more open windows`;
    if (!(await confirmed(`Close ${open} now?`, "Flush now"))) return;
    try {
      const { flushed } = await call("POST", "/api/admin/windows/flush");
      say(byId("flush-said"), `${counted(flushed, "window")} due now`);
    } catch (error) {
      say(byId("flush-said"), error.message);
    }
    await after();
  });
}
