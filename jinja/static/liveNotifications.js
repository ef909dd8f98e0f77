// Connects the socket with the page: applies client events to the badge and the notification lists,
// and shows a toast for each new announcement.
import { callApi, currentUserId } from "./api.js";
import { EventCursor } from "./notifications/eventCursor.js";
import { rowHref } from "./notifications/normalize.js";
import { NotificationList } from "./notifications/notificationList.js";
import { NotificationPanel } from "./notifications/panel.js";
import { SocketClient } from "./notifications/socket.js";
import { TabLeader } from "./notifications/tabLeader.js";
import { UnreadBadge } from "./notifications/unreadBadge.js";
import { renderPostCounts } from "./socialActions.js";
import { clearToasts, removeToast, showToast } from "./toasts.js";
import { startVisiblePosts, visiblePostIds } from "./visiblePosts.js";

const EVENT_NAMES = ["notification", "notification_updated", "notification_removed"];
const STATUS_DISPLAY_MS = 6000;
const MARK_SEEN_DELAY_MS = 300;
const byId = (id) => document.getElementById(id);
const eventCursor = new EventCursor();
const acknowledgedVersions = new Map(); // id -> version acknowledged as displayed
const lists = [];
let badge, tabLeader, socketClient, statusTimer;

// Client events carry a number that rises by one; the cursor ignores repeated ones, a gap triggers a resync.
function onClientEvent(name, data) {
  for (const [eventName, row] of eventCursor.add(name, data)) if (applyEvent(eventName, row)) announce(row);
  if (eventCursor.hasGap) socketClient.requestResync();
}

// Applies the event to the lists. Returns whether it is an announcement.
function applyEvent(name, row) {
  for (const list of lists) list.apply(name, row);
  if (name === "notification_removed" || row.isRead) removeToast(row.id);
  return name === "notification";
}

// Shows a toast in one tab only, and not for something that is visible already.
async function announce(row) {
  if (row.metadata?.channels && !row.metadata.channels.includes("PUSH")) return;
  const href = rowHref(row);
  const critical = row.priority === "CRITICAL";
  if (!critical && (await tabLeader.isVisibleInAnyTab(["list", href.replace(/#.*/, "")]))) return;
  if (!tabLeader.claim(`${row.id}:${row.version}`)) return;
  showToast({ id: row.id, message: row.message || row.title, href, critical });
  if (document.visibilityState === "visible") acknowledge(row);
}

// Reports to the delivery log that this version of the row was displayed.
function acknowledge({ id, version }) {
  if (!(version > (acknowledgedVersions.get(id) ?? 0))) return;
  acknowledgedVersions.set(id, version);
  socketClient?.acknowledge(id, version);
}

// Rows of an open list count as seen; they become read only when the user acts on them.
let markSeenTimer = null;
function onRowsDisplayed(rows) {
  if (document.visibilityState !== "visible") return;
  const unseenRows = rows.filter((row) => !row.isRemoved && !row.seenAt);
  unseenRows.forEach(acknowledge);
  badge.setHasUnseen(false);
  if (!unseenRows.length) return;
  clearTimeout(markSeenTimer);
  const upTo = Math.max(...unseenRows.map((row) => row.seq));
  const markSeen = () => callApi("PATCH", `/api/notifications/${currentUserId}/seen`, { upTo }).catch(() => {});
  markSeenTimer = setTimeout(markSeen, MARK_SEEN_DELAY_MS);
}

// Shows the connection status; with `durationMs` it disappears by itself.
function showConnectionStatus(text, durationMs = 0) {
  const box = byId("connection");
  clearTimeout(statusTimer);
  box.textContent = text;
  box.classList.toggle("visible", text !== "");
  box.classList.toggle("disconnected", durationMs === 0);
  if (durationMs) statusTimer = setTimeout(() => showConnectionStatus(""), durationMs);
}

let wasDisconnected = false; // the connection was lost since the last complete resync
let needsResync = true;
async function onJoined(reply) {
  needsResync = true;
  if (!reply.epoch) return socketClient.scheduleJoin(); // history unavailable; live events are shown nevertheless
  const hadResumePoint = eventCursor.resumePoint;
  const missedEvents = hadResumePoint && eventCursor.resume(reply);
  const newRows = (missedEvents ?? []).filter(([name, row]) => applyEvent(name, row)).map(([, row]) => row);
  for (const row of newRows) if (!wasDisconnected || row.priority === "CRITICAL") announce(row);
  if (wasDisconnected && missedEvents) {
    showConnectionStatus(newRows.length ? `Caught up, ${newRows.length} new` : "Caught up", STATUS_DISPLAY_MS);
  }
  try {
    if (!missedEvents) await reloadLists(reply);
    await loadUnreadCount();
  } catch {
    return socketClient.scheduleJoin();
  }
  if (hadResumePoint && !missedEvents) showConnectionStatus("Older changes could not be recovered, reloaded", STATUS_DISPLAY_MS);
  else if (wasDisconnected && !missedEvents) showConnectionStatus("");
  wasDisconnected = needsResync = false;
  document.documentElement.dataset.live = "yes"; // for styles and tests: from now on events arrive immediately
}

async function reloadLists({ epoch, seq }) {
  const openLists = lists.filter((list) => list.isViewing);
  const results = await Promise.all(openLists.map((list) => list.load()));
  if (results.includes(false)) throw new Error("not loaded");
  for (const [name, row] of eventCursor.restartAt(epoch, seq)) if (applyEvent(name, row)) announce(row);
}

async function loadUnreadCount() {
  const { count, version } = await callApi("GET", `/api/notifications/${currentUserId}/unread-count`);
  badge.update(count, version);
}

function onDisconnected() {
  wasDisconnected = true;
  delete document.documentElement.dataset.live;
  showConnectionStatus("Reconnecting…");
}

function startLists() {
  const panelList = new NotificationList(byId("bell-inbox"), onRowsDisplayed);
  let releaseVisible = null;
  new NotificationPanel(byId("bell"), (isOpen) => {
    releaseVisible?.();
    releaseVisible = isOpen ? tabLeader.holdVisible("list") : null;
    panelList.setViewing(isOpen);
    if (!isOpen) return;
    clearToasts();
    panelList.load();
  });
  lists.push(panelList);
  const pageInbox = byId("page-inbox");
  if (!pageInbox) return;
  const pageList = new NotificationList(pageInbox, onRowsDisplayed);
  lists.push(pageList);
  tabLeader.holdVisible("list");
  pageList.setViewing(true);
  pageList.takeOverServerRows();
}

export function startLiveNotifications() {
  if (!currentUserId || !byId("bell")) return;
  badge = new UnreadBadge(byId("bell-button"), byId("announcer"));
  tabLeader = new TabLeader(currentUserId);
  if (/^\/(posts|users)\//.test(location.pathname)) tabLeader.holdVisible(location.pathname);
  startLists();
  for (const list of lists) list.lastClientSeq = () => eventCursor.resumePoint?.seq ?? 0;
  const callbacks = {
    getResumePoint: () => eventCursor.resumePoint,
    getVisiblePostIds: visiblePostIds,
    isResyncNeeded: () => needsResync || eventCursor.hasGap,
    onJoined,
    onClientEvent,
    onDisconnected,
    onPostUpdated: renderPostCounts,
    onUnreadCount: (count, version) => badge.update(count, version),
  };
  socketClient = new SocketClient(callbacks, EVENT_NAMES);
  startVisiblePosts(() => socketClient.watchPosts());
}
