// Table of the newest e-mails and text messages, by status.
import { callApi } from "../api.js";
import { byId, el, formatTime, reconcileChildren, setText } from "./dom.js";

const MAX_ROWS = 50;

function cells(message) {
  const nextOrEnd = message.endedAt ?? message.dueAt;
  return [message.type, message.channel, message.status, String(message.attempts), formatTime(message.createdAt), formatTime(nextOrEnd), message.lastError ?? "–"];
}

function createRow(message) {
  return el("tr", {}, el("th", { scope: "row", title: message.recipientId }, message.recipientName), ...cells(message).map((text) => el("td", {}, text)));
}

function updateRow(row, message) {
  row.dataset.state = message.status === "failed" || message.status === "expired" ? "down" : "up";
  cells(message).forEach((text, index) => setText(row.children[index + 1], text));
}

export async function renderMail() {
  const status = byId("mail-status").value;
  const page = await callApi("GET", `/api/admin/mail?limit=${MAX_ROWS}${status && `&status=${status}`}`);
  if (byId("mail-status").value !== status) return; // the answer to an earlier choice
  reconcileChildren(byId("mail"), page.items, (message) => message.id, createRow, updateRow);
  byId("no-mail").hidden = page.items.length > 0;
  byId("mail-more").hidden = page.nextCursor === null;
}

export function startMail(refresh) {
  byId("mail-status").addEventListener("change", refresh);
}
