// URLs of the notification list for the REST API and the address bar; saves and restores the scroll position.
import { currentUserId } from "../api.js";

const STORAGE_KEY = "inbox";
const currentPath = () => location.pathname + location.search;

export function listApiUrl({ tab, type }, limit) {
  const query = new URLSearchParams({ limit });
  if (tab === "unread") query.set("unreadOnly", "true");
  if (tab === "snoozed") query.set("snoozed", "true");
  if (tab === "mentions") query.set("type", "MENTION");
  else if (type) query.set("type", type);
  return `/api/notifications/${currentUserId}?${query}`;
}

export function listPageUrl({ tab, type }) {
  const query = new URLSearchParams();
  if (tab !== "all") query.set("tab", tab);
  if (type) query.set("type", type);
  return `/notifications${query.size ? `?${query}` : ""}`;
}

// {count, y} of this page if the user came back by the browser's back or forward button, else null or false.
export function readSavedPosition() {
  const isBackForward = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const position = isBackForward && JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "null");
  return position && position.path === currentPath() ? position : null;
}

export function savePosition(count) {
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ path: currentPath(), count, y: scrollY }));
}
