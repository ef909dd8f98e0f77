// Table of the open aggregation windows with countdowns, and the button that flushes them now.
import { callApi } from "../api.js";
import { formatCount } from "../plurals.js";
import { confirmDialog } from "./confirm.js";
import { countdown } from "./countdown.js";
import { byId, el, formatNumber, reconcileChildren, setText, shortId } from "./dom.js";

const MAX_ROWS = 50;

function objectCell(window, names) {
  const name = names[window.object] ?? shortId(window.object);
  const isPost = ["LIKE", "COMMENT", "POST_SHARE"].includes(window.type);
  return isPost ? el("a", { href: `/posts/${window.object}` }, name) : name;
}

function createRow(window, names) {
  return el("tr", {}, el("th", { scope: "row" }, window.type), el("td", { title: window.object }, objectCell(window, names)),
    el("td", { title: window.recipient }, names[window.recipient] ?? shortId(window.recipient)), el("td", { class: "numeric" }),
    el("td", {}, window.closing ? "closing" : countdown(window.dueAt)));
}

function updateRow(row, window) {
  setText(row.children[3], formatNumber(window.count));
  const due = row.querySelector("[data-due]");
  if (due && !window.closing) due.dataset.due = window.dueAt;
}

export async function renderWindows() {
  const page = await callApi("GET", `/api/admin/windows?limit=${MAX_ROWS}`);
  reconcileChildren(byId("windows"), page.items, (window) => `${window.name}${window.closing}`, (window) => createRow(window, page.names), updateRow);
  byId("no-windows").hidden = page.items.length > 0;
  byId("windows-more").hidden = page.nextCursor === null;
}

// `onFlushed` is called after the flush.
export function startWindows(onFlushed) {
  byId("flush").addEventListener("click", async () => {
    const count = byId("windows").children.length;
    const windowsText = byId("windows-more").hidden ? formatCount(count, "open window") : `${count} and more open windows`;
    if (!(await confirmDialog(`Close ${windowsText} now?`, "Flush now"))) return;
    try {
      const { flushed } = await callApi("POST", "/api/admin/windows/flush");
      setText(byId("flush-result"), `${formatCount(flushed, "window")} due now`);
    } catch (error) {
      setText(byId("flush-result"), error.message);
    }
    await onFlushed();
  });
}
