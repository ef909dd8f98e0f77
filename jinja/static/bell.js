// The bell: joins the socket, shows what arrives, asks for what it missed after a reconnect.
/* global io */
import { call, freshToken, myId } from "./api.js";
import { paintCounts } from "./feed.js";
import { ago } from "./times.js";
import { dropToast, toast } from "./toasts.js";

const byId = (id) => document.getElementById(id);
const rows = new Map(); // id -> row
let since = null; // {epoch, seq}: how far we have come
let early = []; // frames that came before we knew where we stand; null: none are held back
let badgeVersion = -1;
let spokenAt = 0;

function paintBadge(count, version) {
  if (version !== undefined && version < badgeVersion) return;
  if (version !== undefined) badgeVersion = version;
  const badge = byId("badge");
  const before = Number(badge.dataset.count ?? 0);
  badge.dataset.count = count;
  badge.textContent = count > 99 ? "99+" : count;
  badge.hidden = count === 0;
  byId("bell-button").setAttribute("aria-label", `Notifications, ${count} unread`);
  document.title = document.title.replace(/^\(\d+\+?\) /, "");
  if (count) document.title = `(${count > 99 ? "99+" : count}) ${document.title}`;
  if (count > before && Date.now() - spokenAt > 5000) {
    spokenAt = Date.now();
    byId("announcer").textContent = `${count} unread notifications`;
  }
}

function link(row) {
  const url = row.metadata?.postUrl;
  if (typeof url === "string" && /^\/posts\/[0-9a-f-]+$/.test(url)) return url;
  return row.targetType === "POST" && row.targetId ? `/posts/${encodeURIComponent(row.targetId)}` : "/notifications";
}

function item(row) {
  const li = document.createElement("li");
  li.className = row.isRead ? "group" : "group unread";
  const text = document.createElement("div");
  text.className = "group-text";
  if (!row.isRead) {
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.textContent = "Unread";
    text.append(dot);
  }
  const a = document.createElement("a");
  a.href = link(row);
  a.textContent = row.message || row.title;
  a.addEventListener("click", () => call("PATCH", `/api/notifications/${row.id}/read`).catch(() => {}));
  const when = document.createElement("time");
  const moment = row.timestamp ?? row.updatedAt ?? row.createdAt;
  when.dateTime = moment;
  when.className = "muted";
  when.textContent = ago(new Date(moment));
  text.append(a, when);
  li.append(text);
  return li;
}

function paintList() {
  const sorted = [...rows.values()].sort((a, b) => b.seq - a.seq).slice(0, 50);
  byId("bell-list").replaceChildren(...sorted.map(item));
  byId("bell-empty").hidden = sorted.length > 0;
}

// A row is known by its id; an older version of it never replaces a newer one.
function keep(row) {
  const known = rows.get(row.id);
  if (known && known.version > row.version) return false;
  rows.set(row.id, { ...known, ...row });
  return true;
}

const handlers = {
  notification(row) {
    if (!keep(row)) return;
    const channels = row.metadata?.channels;
    if (channels && !channels.includes("PUSH")) return;
    toast({ id: row.id, message: row.message || row.title, href: link(row), critical: row.priority === "CRITICAL" });
  },
  notification_updated(row) {
    if (keep(row) && row.isRead) dropToast(row.id);
  },
  notification_removed(gone) {
    rows.delete(gone.id);
    dropToast(gone.id);
  },
};

// Frames carry a number that rises by one; one that we had already is not shown again.
function frame(event, data) {
  if (early) {
    early.push([event, data]);
    return;
  }
  if (since && data.seq !== undefined) {
    if (data.seq <= since.seq) return;
    since.seq = data.seq;
  }
  handlers[event](data);
  paintList();
}

async function reload() {
  const said = await call("GET", `/api/notifications/${myId}?limit=50`);
  rows.clear();
  for (const row of said.notifications) rows.set(row.id, row);
  paintList();
  const badge = await call("GET", `/api/notifications/${myId}/unread-count`);
  paintBadge(badge.count, badge.version);
}

function say(sentence) {
  const line = byId("connection");
  line.textContent = sentence ?? "";
  line.hidden = !sentence;
}

// What was missed comes first, then what was held back.
function release(missed) {
  const held = early ?? [];
  early = null;
  for (const [event, data] of [...missed, ...held]) frame(event, data);
}

async function joined(answer) {
  say(null);
  const before = since;
  if (answer.recovered) {
    release(answer.missed.map(({ event, data }) => [event, data]));
    const badge = await call("GET", `/api/notifications/${myId}/unread-count`);
    paintBadge(badge.count, badge.version);
  } else {
    await reload();
    if (answer.epoch) since = { epoch: answer.epoch, seq: answer.seq };
    release([]);
    if (before) toast({ message: "Older changes could not be recovered; the list was loaded again." });
  }
}

function connect() {
  const socket = io({
    transports: ["websocket"],
    reconnectionDelay: 500,
    reconnectionDelayMax: 5000,
    randomizationFactor: 0.7,
    // A new token for each connection: the old one may have run out meanwhile.
    auth: (give) => freshToken().then((token) => give({ token }), () => give({})),
  });
  socket.on("connect", () => {
    early = [];
    socket.emit("join_room", { userId: myId, since });
  });
  socket.on("disconnect", () => say("Reconnecting…"));
  socket.on("connect_error", () => {
    say("Reconnecting…");
    // A refusal by the server ends the library's own attempts.
    if (!socket.active) setTimeout(() => socket.connect(), 3000 + 2000 * Math.random());
  });
  socket.on("joined", (answer) => joined(answer).catch((error) => toast({ message: error.message })));
  for (const event of Object.keys(handlers)) socket.on(event, (data) => frame(event, data));
  socket.on("unread_count", ({ count, version }) => paintBadge(count, version));
  socket.on("post_updated", paintCounts);
}

function startPanel() {
  const button = byId("bell-button");
  const panel = byId("bell-panel");
  const show = (open) => {
    panel.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    (open ? byId("bell-title") : button).focus();
  };
  button.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    show(panel.hidden);
  });
  button.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    show(panel.hidden);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) show(false);
  });
  document.addEventListener("click", (event) => {
    if (!panel.hidden && !byId("bell").contains(event.target)) {
      panel.hidden = true;
      button.setAttribute("aria-expanded", "false");
    }
  });
  byId("read-all").addEventListener("click", () => {
    const upTo = Math.max(0, ...[...rows.values()].map((row) => row.seq));
    call("PATCH", `/api/notifications/${myId}/read-all`, { upTo }).catch((error) => toast({ message: error.message }));
  });
}

export function startBell() {
  if (!myId || !byId("bell")) return;
  startPanel();
  connect();
}
