// What a list says when it has no lines.
import { el } from "./dom.js";

const EMPTY = {
  all: "Nothing here yet. Likes, comments and new followers will appear here.",
  unread: "You’re all caught up.",
  mentions: "Nobody has mentioned you yet.",
};

export function empty({ tab, type }) {
  return type && tab !== "mentions" ? "Nothing of this kind here." : EMPTY[tab];
}

export function failed(again) {
  const button = el("button.small", { type: "button", on: { click: again } }, "Try again");
  return [navigator.onLine ? "The list could not be loaded." : "You are offline.", button];
}
