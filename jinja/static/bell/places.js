// Where the list is: what to ask the API for, the address of the page, and where its reader left it.
import { myId } from "../api.js";

const LEFT = "inbox";
const here = () => location.pathname + location.search;

export function partOf({ tab, type }, limit) {
  const asked = new URLSearchParams({ limit });
  if (tab === "unread") asked.set("unreadOnly", "true");
  if (tab === "mentions") asked.set("type", "MENTION");
  else if (type) asked.set("type", type);
  return `/api/notifications/${myId}?${asked}`;
}

export function pathOf({ tab, type }) {
  const asked = new URLSearchParams();
  if (tab !== "all") asked.set("tab", tab);
  if (type) asked.set("type", type);
  return `/notifications${asked.size ? `?${asked}` : ""}`;
}

// {count, y} for who comes back to this page with the browser's own button.
export function left() {
  const back = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const kept = back && JSON.parse(sessionStorage.getItem(LEFT) ?? "null");
  return kept && kept.path === here() ? kept : null;
}

export function leave(count) {
  sessionStorage.setItem(LEFT, JSON.stringify({ path: here(), count, y: scrollY }));
}
