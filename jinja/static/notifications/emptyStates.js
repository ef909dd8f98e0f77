// What a notification list shows instead of items: the text of an empty view, or an error with a retry button.
import { el } from "./dom.js";

const EMPTY_TEXTS = {
  all: "Nothing here yet. Likes, comments and new followers will appear here.",
  unread: "You’re all caught up.",
  mentions: "Nobody has mentioned you yet.",
  snoozed: "Nothing is snoozed.",
};

export function emptyText({ tab, type }) {
  return type && tab !== "mentions" ? "Nothing of this kind here." : EMPTY_TEXTS[tab];
}

export function loadError(retry) {
  const button = el("button.small", { type: "button", on: { click: retry } }, "Try again");
  return [navigator.onLine ? "The list could not be loaded." : "You are offline.", button];
}
