// The bell: takes what the socket brings, keeps the badge and the lists true, and says what rings.
import { call, myId } from "./api.js";
import { Badge } from "./bell/badge.js";
import { Frames } from "./bell/frames.js";
import { Leader } from "./bell/leader.js";
import { List } from "./bell/list.js";
import { Panel } from "./bell/panel.js";
import { hrefOf } from "./bell/rows.js";
import { Line } from "./bell/socket.js";
import { paintCounts } from "./feed.js";
import { clearToasts, dropToast, toast } from "./toasts.js";

const EVENTS = ["notification", "notification_updated", "notification_removed"];
const CAUGHT_UP_MS = 6000;
const byId = (id) => document.getElementById(id);
const frames = new Frames();
const told = new Map(); // id -> version that rang: a critical one may come twice
const acked = new Map(); // id -> version that was shown
const lists = [];
let badge, leader, line, sayer;

// Frames carry a number that rises by one; one that we had already is not shown again.
function frame(event, data) {
  for (const [name, row] of frames.take(event, data)) if (receive(name, row)) ring(row);
  if (frames.gap) line.rejoin();
}

// Into the lists. Whether it is news: an announcement that we had not, in this version or a later one.
function receive(event, row) {
  for (const list of lists) list.apply(event, row);
  if (event === "notification_removed" || row.isRead) dropToast(row.id);
  if (event !== "notification" || !(row.version > (told.get(row.id) ?? 0))) return false;
  told.set(row.id, row.version);
  return true;
}

// In one tab only, and not about what is before the person's eyes.
async function ring(row) {
  if (row.metadata?.channels && !row.metadata.channels.includes("PUSH")) return;
  const href = hrefOf(row);
  const critical = row.priority === "CRITICAL";
  if (!critical && (await leader.onScreen(["list", href.replace(/#.*/, "")]))) return;
  if (!leader.takes(`${row.id}:${row.version}`)) return;
  toast({ id: row.id, message: row.message || row.title, href, critical });
  if (document.visibilityState === "visible") seen(row);
}

// For the delivery log: this version of the row was before somebody's eyes.
function seen({ id, version }) {
  if (!(version > (acked.get(id) ?? 0))) return;
  acked.set(id, version);
  line?.ack(id, version);
}

// What an open list shows is seen; it is read only by acting on it.
let seeing = null;
function shown(rows) {
  if (document.visibilityState !== "visible") return;
  const unseen = rows.filter((row) => !row.gone && !row.seenAt);
  unseen.forEach(seen);
  badge.fresh(false);
  if (!unseen.length) return;
  clearTimeout(seeing);
  const upTo = Math.max(...unseen.map((row) => row.seq));
  seeing = setTimeout(() => call("PATCH", `/api/notifications/${myId}/seen`, { upTo }).catch(() => {}), 300);
}

function say(sentence, ms = 0) {
  const box = byId("connection");
  clearTimeout(sayer);
  box.textContent = sentence;
  box.classList.toggle("shown", sentence !== "");
  box.classList.toggle("away", ms === 0); // good news goes by itself
  if (ms) sayer = setTimeout(() => say(""), ms);
}

let away = false; // the connection was lost since it last stood
let behind = true; // there is more to ask for
async function joined(answer) {
  behind = true;
  if (!answer.epoch) return line.later(); // the history is away; what comes live is shown all the same
  const before = frames.since;
  const missed = before && frames.caughtUp(answer);
  const news = (missed ?? []).filter(([event, row]) => receive(event, row)).map(([, row]) => row);
  for (const row of news) if (!away || row.priority === "CRITICAL") ring(row);
  if (away && missed) say(news.length ? `Caught up, ${news.length} new` : "Caught up", CAUGHT_UP_MS);
  try {
    if (!missed) await afresh(answer);
    await count();
  } catch {
    return line.later();
  }
  if (before && !missed) say("Older changes could not be recovered, reloaded", CAUGHT_UP_MS);
  else if (away && !missed) say("");
  away = behind = false;
  document.documentElement.dataset.live = "yes"; // for styles and tests: from here on it is told at once
}

async function afresh({ epoch, seq }) {
  const open = lists.filter((list) => list.looking);
  const loaded = await Promise.all(open.map((list) => list.load()));
  if (loaded.includes(false)) throw new Error("not loaded");
  for (const [event, row] of frames.afresh(epoch, seq)) if (receive(event, row)) ring(row);
}

async function count() {
  const said = await call("GET", `/api/notifications/${myId}/unread-count`);
  badge.paint(said.count, said.version);
}

function state() {
  away = true;
  delete document.documentElement.dataset.live;
  say("Reconnecting…");
}

function startLists() {
  const panelList = new List(byId("bell-inbox"), shown);
  let hide = null;
  new Panel(byId("bell"), (open) => {
    hide?.();
    hide = open ? leader.shows("list") : null;
    panelList.look(open);
    if (!open) return;
    clearToasts();
    panelList.load();
  });
  lists.push(panelList);
  const page = byId("page-inbox");
  if (!page) return;
  const list = new List(page, shown);
  lists.push(list);
  leader.shows("list");
  list.look(true);
  list.start();
}

export function startBell() {
  if (!myId || !byId("bell")) return;
  badge = new Badge(byId("bell-button"), byId("announcer"));
  leader = new Leader(myId);
  if (/^\/(posts|users)\//.test(location.pathname)) leader.shows(location.pathname);
  startLists();
  for (const list of lists) list.reached = () => frames.since?.seq ?? 0;
  const since = () => frames.since;
  const missing = () => behind || frames.gap;
  line = new Line({ since, missing, joined, frame, state, post: paintCounts, badge: (...said) => badge.paint(...said) }, EVENTS);
}
