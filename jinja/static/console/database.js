// The database viewer: what waits above what is written, so that one can watch a batch go over.
import { call } from "../api.js";
import { counted } from "../words.js";
import { confirmed } from "./confirm.js";
import { until } from "./countdown.js";
import { byId, el, number, precise, reconcile, say, short } from "./dom.js";
import { Refresh } from "./refresh.js";

const EVERY_MS = 3000;
const PAGE = 50;
const COLUMNS = {
  "notification-history": ["userId", "type", "priority", "message", "aggregatedCount", "isRead", "deliveryStatus", "createdAt"],
  likes: ["postId", "userId", "createdAt"],
  comments: ["content", "postId", "userId", "createdAt"],
  follows: ["followerId", "followingId", "createdAt"],
};
const tabs = [...byId("database").querySelectorAll("[data-tab]")]; // the bell has tabs too
let open = tabs[0].dataset.tab;
let rows = new Map(); // id -> row of the open tab, as far as it was paged
let older = null; // the cursor behind them
let paged = false;

const names = { createdAt: "Created", userId: "User", postId: "Post", followerId: "Follower", followingId: "Following", isRead: "Read", deliveryStatus: "Delivery", aggregatedCount: "People" };
const title = (column) => names[column] ?? column[0].toUpperCase() + column.slice(1);

function shown(column, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "✓ yes" : "✗ no";
  if (column === "createdAt") return precise(value);
  return column.endsWith("Id") ? short(value) : String(value);
}

function line(row) {
  return el("tr", {}, el("td", {}), ...COLUMNS[open].map((column) => el("td", column.endsWith("Id") ? { title: row[column] ?? "" } : {})));
}

function fill(tr, row) {
  COLUMNS[open].forEach((column, at) => say(tr.children[at + 1], shown(column, row[column])));
}

function paintWritten(tr, row) {
  fill(tr, row);
  say(tr.firstChild, "written");
}

function paintPending(tr, row) {
  fill(tr, row);
  tr.className = "waiting";
  const due = tr.firstChild.querySelector("[data-due]");
  if (row.dueAt && due) due.dataset.due = row.dueAt;
  else if (row.dueAt) tr.firstChild.replaceChildren("in a window until ", until(row.dueAt));
  else say(tr.firstChild, row.where === "closing" ? "its window closes" : `in the ${row.where}`);
}

function head() {
  byId("columns").replaceChildren(el("th", { scope: "col" }, "State"), ...COLUMNS[open].map((column) => el("th", { scope: "col" }, title(column))));
}

// The first part is read anew each time; what was paged in before stays, as long as it is still older.
function merge(part) {
  const fresh = new Map(part.data.map((row) => [row.id, row]));
  if (paged && part.data.length) {
    const last = part.data[part.data.length - 1].createdAt;
    for (const [id, row] of rows) if (!fresh.has(id) && row.createdAt < last) fresh.set(id, row);
  } else {
    older = part.nextCursor;
  }
  rows = fresh;
}

async function paintTable() {
  const tab = open;
  const [part, waiting] = await Promise.allSettled([
    call("GET", `/api/admin/db/${tab}?limit=${PAGE}`),
    call("GET", `/api/admin/db/pending?table=${tab}`),
  ]);
  if (tab !== open) return;
  if (part.status === "fulfilled") {
    merge(part.value);
    paintRows();
  }
  const pending = waiting.status === "fulfilled" ? waiting.value.data : [];
  if (waiting.status === "fulfilled") reconcile(byId("pending"), pending, (row) => row.id, line, paintPending);
  const total = part.status === "fulfilled" ? part.value.total : "?";
  say(byId("rows-caption"), `${number(total)} written, ${pending.length}${pending.length >= PAGE ? "+" : ""} accepted and not written yet`);
  byId("nothing").hidden = rows.size + pending.length > 0;
  for (const one of [part, waiting]) if (one.status === "rejected") throw one.reason;
}

function paintRows() {
  reconcile(byId("written"), rows.values(), (row) => row.id, line, paintWritten);
  byId("older").hidden = older === null;
}

async function paintStats() {
  const { data } = await call("GET", "/api/admin/db/stats");
  for (const [name, total] of Object.entries(data.total)) {
    say(document.querySelector(`[data-total="${name}"]`), number(total));
    say(document.querySelector(`[data-recent="${name}"]`), `+${number(data.recent[name])}`);
  }
}

const refresh = new Refresh({
  every: EVERY_MS,
  look: async () => void (await Promise.all([paintTable(), paintStats()])),
  button: byId("pause"),
  stamp: byId("stamp"),
});

function choose(tab) {
  for (const one of tabs) {
    one.setAttribute("aria-selected", String(one === tab));
    one.tabIndex = one === tab ? 0 : -1;
  }
  open = tab.dataset.tab;
  [rows, older, paged] = [new Map(), null, false];
  byId("rows").setAttribute("aria-labelledby", tab.id);
  byId("pending").replaceChildren();
  byId("written").replaceChildren();
  say(byId("rows-caption"), "Loading…");
  head();
  refresh.now();
}

function move(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const at = tabs.indexOf(event.target);
  const to = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step && (at + step + tabs.length) % tabs.length);
  if (to === undefined) return;
  event.preventDefault();
  tabs[to].focus();
  choose(tabs[to]);
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", move);
}
byId("older").addEventListener("click", async () => {
  const part = await call("GET", `/api/admin/db/${open}?limit=${PAGE}&cursor=${encodeURIComponent(older)}`);
  paged = true;
  older = part.nextCursor;
  for (const row of part.data) rows.set(row.id, row);
  paintRows();
});
byId("clear").addEventListener("click", async () => {
  const [notifications, likes, comments, follows] = ["notifications", "likes", "comments", "follows"]
    .map((name) => document.querySelector(`[data-total="${name}"]`).textContent);
  const question = `Delete ${counted(notifications, "notification")}, ${counted(likes, "like")}, ${counted(comments, "comment")} and ${counted(follows, "follow")} of everybody, and all that waits?`;
  if (!(await confirmed(question, "Clear all data"))) return;
  try {
    say(byId("clear-said"), (await call("DELETE", "/api/admin/db/clear")).message);
  } catch (error) {
    say(byId("clear-said"), error.message);
  }
  paged = false;
  await refresh.now();
});
head();
