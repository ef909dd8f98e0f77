// The database viewer: accepted events that are not written yet, above the rows of the selected table.
import { callApi } from "../api.js";
import { formatCount } from "../plurals.js";
import { confirmDialog } from "./confirm.js";
import { countdown } from "./countdown.js";
import { byId, el, formatNumber, formatPreciseTime, reconcileChildren, setText, shortId } from "./dom.js";
import { Poller } from "./poller.js";
import { startTabs } from "./tabs.js";

const POLL_INTERVAL_MS = 3000;
const PAGE_SIZE = 50;
const COLUMNS = {
  "notification-history": ["userId", "type", "priority", "message", "aggregatedCount", "isRead", "deliveryStatus", "createdAt"],
  likes: ["postId", "userId", "createdAt"],
  comments: ["content", "postId", "userId", "createdAt"],
  follows: ["followerId", "followingId", "createdAt"],
};
const TEXT_COLUMNS = ["message", "content"];
const tabs = [...byId("database").querySelectorAll("[data-tab]")]; // within the viewer: the notification panel has tabs too
let selectedTable = tabs[0].dataset.tab;
let rows = new Map(); // id -> row of the selected table, as far as it is loaded
let names = new Map(); // id -> name of a user or caption of a post
let olderCursor = null;
let hasLoadedOlder = false;

const COLUMN_TITLES = { createdAt: "Created", userId: "User", postId: "Post", followerId: "Follower", followingId: "Following", isRead: "Read", deliveryStatus: "Delivery", aggregatedCount: "People" };
const columnTitle = (column) => COLUMN_TITLES[column] ?? column[0].toUpperCase() + column.slice(1);

function formatValue(column, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "✓ yes" : "✗ no";
  if (column === "createdAt") return formatPreciseTime(value);
  return column.endsWith("Id") ? (names.get(value) ?? shortId(value)) : String(value);
}

function createTableRow(row) {
  const cells = COLUMNS[selectedTable].map((column) => {
    if (column.endsWith("Id")) return el("td", { class: "free-text", title: row[column] ?? "" });
    return el("td", TEXT_COLUMNS.includes(column) ? { class: "free-text" } : {});
  });
  return el("tr", {}, el("td", {}), ...cells);
}

function fillCells(tr, row) {
  COLUMNS[selectedTable].forEach((column, index) => setText(tr.children[index + 1], formatValue(column, row[column])));
}

function updateWrittenRow(tr, row) {
  fillCells(tr, row);
  setText(tr.firstChild, "written");
}

function updatePendingRow(tr, row) {
  fillCells(tr, row);
  tr.className = "pending";
  const due = tr.firstChild.querySelector("[data-due]");
  if (row.dueAt && due) due.dataset.due = row.dueAt;
  else if (row.dueAt) tr.firstChild.replaceChildren("in a window until ", countdown(row.dueAt));
  else setText(tr.firstChild, row.where === "closing" ? "its window closes" : `in the ${row.where}`);
}

function renderHead() {
  byId("columns").replaceChildren(el("th", { scope: "col" }, "State"), ...COLUMNS[selectedTable].map((column) => el("th", { scope: "col" }, columnTitle(column))));
}

// Replaces the first page; rows of older pages stay as long as they are still older than it.
function mergeFirstPage(page) {
  const merged = new Map(page.data.map((row) => [row.id, row]));
  if (hasLoadedOlder && page.data.length) {
    const lastCreatedAt = page.data[page.data.length - 1].createdAt;
    for (const [id, row] of rows) if (!merged.has(id) && row.createdAt < lastCreatedAt) merged.set(id, row);
  } else {
    olderCursor = page.nextCursor;
  }
  rows = merged;
}

async function refreshTable() {
  const table = selectedTable;
  const [page, pendingPage] = await Promise.allSettled([
    callApi("GET", `/api/admin/db/${table}?limit=${PAGE_SIZE}`),
    callApi("GET", `/api/admin/db/pending?table=${table}`),
  ]);
  if (table !== selectedTable) return;
  for (const { value } of [page, pendingPage]) for (const [id, name] of Object.entries(value?.names ?? {})) names.set(id, name);
  if (page.status === "fulfilled") {
    mergeFirstPage(page.value);
    renderWrittenRows();
  }
  const pending = pendingPage.status === "fulfilled" ? pendingPage.value.data : [];
  if (pendingPage.status === "fulfilled") reconcileChildren(byId("pending"), pending, (row) => row.id, createTableRow, updatePendingRow);
  const total = page.status === "fulfilled" ? page.value.total : "?";
  setText(byId("rows-caption"), `${formatNumber(total)} written, ${pending.length}${pending.length >= PAGE_SIZE ? "+" : ""} accepted and not written yet`);
  byId("no-rows").hidden = rows.size + pending.length > 0;
  for (const result of [page, pendingPage]) if (result.status === "rejected") throw result.reason;
}

function renderWrittenRows() {
  reconcileChildren(byId("written"), rows.values(), (row) => row.id, createTableRow, updateWrittenRow);
  byId("older").hidden = olderCursor === null;
}

async function refreshTotals() {
  const { data } = await callApi("GET", "/api/admin/db/stats");
  for (const [name, total] of Object.entries(data.total)) {
    setText(document.querySelector(`[data-total="${name}"]`), formatNumber(total));
    setText(document.querySelector(`[data-recent="${name}"]`), `+${formatNumber(data.recent[name])}`);
  }
}

const poller = new Poller({
  intervalMs: POLL_INTERVAL_MS,
  poll: async () => void (await Promise.all([refreshTable(), refreshTotals()])),
  pauseButton: byId("pause"),
  statusElement: byId("last-updated"),
});

function showTable(selected) {
  selectedTable = selected.dataset.tab;
  [rows, names, olderCursor, hasLoadedOlder] = [new Map(), new Map(), null, false];
  byId("rows").setAttribute("aria-labelledby", selected.id);
  byId("pending").replaceChildren();
  byId("written").replaceChildren();
  setText(byId("rows-caption"), "Loading…");
  renderHead();
  poller.pollNow();
}

startTabs(tabs, showTable);
byId("older").addEventListener("click", async () => {
  const page = await callApi("GET", `/api/admin/db/${selectedTable}?limit=${PAGE_SIZE}&cursor=${encodeURIComponent(olderCursor)}`);
  hasLoadedOlder = true;
  olderCursor = page.nextCursor;
  for (const [id, name] of Object.entries(page.names)) names.set(id, name);
  for (const row of page.data) rows.set(row.id, row);
  renderWrittenRows();
});
byId("clear").addEventListener("click", async () => {
  const [notifications, likes, comments, follows] = ["notifications", "likes", "comments", "follows"]
    .map((name) => document.querySelector(`[data-total="${name}"]`).textContent);
  const question = `Delete ${formatCount(notifications, "notification")}, ${formatCount(likes, "like")}, ${formatCount(comments, "comment")} and ${formatCount(follows, "follow")} of everybody, and all that waits?`;
  if (!(await confirmDialog(question, "Clear all data"))) return;
  try {
    setText(byId("clear-result"), (await callApi("DELETE", "/api/admin/db/clear")).message);
  } catch (error) {
    setText(byId("clear-result"), error.message);
  }
  hasLoadedOlder = false;
  await poller.pollNow();
});
renderHead();
