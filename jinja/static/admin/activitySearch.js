// Search of events and notifications by person, post, kind and time. Without criteria it lists the newest.
import { callApi } from "../api.js";
import { formatCount } from "../plurals.js";
import { byId, el, formatPreciseTime, reconcileChildren, setText } from "./dom.js";
import { showTrace } from "./trace.js";

const PAGE_SIZE = 20;
const NEWEST_EVENTS_PATH = `/api/admin/events?limit=${PAGE_SIZE}`;
const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/i;
const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const form = () => byId("activity-search");
let searchedPath = null; // with its criteria, for the next page
let nextCursor = null;
let shownItems = [];
let isUntouched = true; // nothing was searched for yet: the newest events are listed

// Throws an Error if the post is neither an id nor an address with one.
function pathOfCriteria() {
  const { what, person, post, type, from, to } = Object.fromEntries(new FormData(form()));
  const query = new URLSearchParams({ limit: PAGE_SIZE });
  if (person.trim()) query.set("person", person.trim());
  if (type) query.set("type", type);
  for (const [name, localTime] of [["from", from], ["to", to]]) if (localTime) query.set(name, new Date(localTime).toISOString());
  const postId = post.match(UUID)?.[0];
  if (post.trim() && !postId) throw new Error("A post is found by its address or id");
  if (postId) query.set("postId", postId);
  return `/api/admin/${what}?${query}`;
}

const formatWhen = (at) => `${dateFormat.format(new Date(at))}, ${formatPreciseTime(at)}`;

function personCell(person) {
  if (!person) return el("td", {}, "–");
  return el("td", { title: person.id }, person.username ? el("a", { href: `/users/${person.username}` }, el("bdi", {}, person.name || person.username)) : "deleted account");
}

function postCell(post) {
  return el("td", {}, post ? el("a", { href: `/posts/${post.id}`, title: post.id }, post.caption || "a picture") : "–");
}

function traceCell(eventId) {
  return el("td", {}, eventId ? el("button", { type: "button", class: "small secondary", title: eventId, "aria-label": `Trace of event ${eventId}`, onclick: () => openTrace(eventId) }, "Trace") : "–");
}

function eventRow(event) {
  const state = event.outcome && event.outcome !== event.status ? `${event.status}, ${event.outcome}` : event.status;
  return el("tr", {}, el("th", { scope: "row" }, formatWhen(event.acceptedAt)), el("td", {}, event.type ?? "not read yet"),
    personCell(event.actor), personCell(event.recipient), postCell(event.post), el("td", {}, state), traceCell(event.eventId));
}

function notificationRow(notification) {
  const state = notification.state === "listed" ? (notification.isRead ? "read" : "unread") : notification.state;
  return el("tr", {}, el("th", { scope: "row" }, formatWhen(notification.createdAt)), el("td", {}, notification.type),
    el("td", {}, el("bdi", {}, notification.message)), personCell(notification.recipient), postCell(notification.post),
    el("td", {}, state), traceCell(notification.eventId));
}

export async function openTrace(eventId) {
  await showTrace(eventId);
  byId("trace-title").scrollIntoView({ block: "start" });
  byId("trace-title").focus({ preventScroll: true });
}

const keyOf = (item) => [item.id ?? item.eventId, item.state ?? item.status, item.message ?? item.outcome].join(" ");

function showPage(page, isFirst) {
  const createRow = searchedPath.startsWith("/api/admin/events") ? eventRow : notificationRow;
  shownItems = isFirst ? page.items : [...shownItems, ...page.items];
  // What is unchanged stays: a text selection and the focus survive.
  reconcileChildren(byId("found"), shownItems, keyOf, createRow);
  nextCursor = page.nextCursor;
  byId("search-more").hidden = nextCursor === null;
  const count = byId("found").children.length;
  const rest = page.stale ? "; Redis does not respond" : nextCursor ? "; older ones are not searched yet" : "";
  setText(byId("search-result"), isUntouched && count ? "The newest events" : `${formatCount(count, "result")}${rest}`);
}

async function search(isFirst) {
  const path = isFirst ? searchedPath : `${searchedPath}&cursor=${encodeURIComponent(nextCursor)}`;
  try {
    const page = await callApi("GET", path);
    if (path.startsWith(searchedPath)) showPage(page, isFirst);
  } catch (error) {
    setText(byId("search-result"), error.message);
  }
}

async function searchByCriteria() {
  try {
    searchedPath = pathOfCriteria();
  } catch (error) {
    setText(byId("search-result"), error.message);
    return;
  }
  isUntouched = false;
  await search(true);
}

// The newest events are refreshed with each poll; what somebody searched for stays as it is.
export async function refreshNewestEvents() {
  if (!isUntouched) return;
  searchedPath = NEWEST_EVENTS_PATH;
  await search(true);
}

export function startActivitySearch() {
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    searchByCriteria();
  });
  form().addEventListener("reset", () => {
    isUntouched = true;
    refreshNewestEvents();
  });
  byId("search-more").addEventListener("click", () => {
    isUntouched = false;
    search(false);
  });
}
