// Details below a notification: the actors of the group ("who", paginated) or the explanation of the delivery ("why").
import { callApi } from "../api.js";
import { formatRelative } from "../relativeTimes.js";
import { avatar, el } from "./dom.js";

const ACTORS_PAGE_SIZE = 10;

export function createDetails(kind, notificationId) {
  const box = el("div.group-details", { "data-details": kind });
  const load = kind === "who" ? () => loadActors(box, notificationId) : () => loadExplanation(box, notificationId);
  loadOrOfferRetry(box, load);
  return box;
}

function loadOrOfferRetry(box, load) {
  load().catch((error) => {
    const retryButton = el("button.small.secondary", { type: "button", on: { click: () => loadOrOfferRetry(box, load) } }, "Try again");
    box.replaceChildren(el("p.error", { role: "alert" }, error.message), retryButton);
  });
}

async function loadActors(box, notificationId) {
  const list = el("ul.group-people", { "aria-label": "Who it was" });
  const moreButton = el("button.small.secondary", { type: "button", hidden: true }, "More people");
  let cursor = null;
  const loadNextPage = async () => {
    const page = await callApi("GET", `/api/notifications/${notificationId}/actors?limit=${ACTORS_PAGE_SIZE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    list.append(...page.actors.map(actorItem));
    cursor = page.nextCursor;
    moreButton.hidden = cursor === null;
  };
  moreButton.addEventListener("click", async () => {
    const firstNewIndex = list.children.length;
    moreButton.disabled = true;
    await loadNextPage().catch((error) => box.append(el("p.error", { role: "alert" }, error.message)));
    moreButton.disabled = false;
    list.children[firstNewIndex]?.querySelector("a").focus();
  });
  await loadNextPage();
  box.replaceChildren(list, moreButton);
}

function actorItem(actor) {
  const name = actor.name || actor.username;
  return el("li", {}, avatar({ ...actor, name }), el("a", { href: `/users/${encodeURIComponent(actor.username)}` }, el("bdi", {}, name)));
}

const STEP_TEXTS = {
  accepted: "It happened and was accepted",
  written: "It was written down",
  announcement: "It was announced",
  "gathered announcement": "It was announced together with others",
  "held by quiet hours": "It was held until your quiet hours end",
  change: "The line was brought up to date",
  seen: "You saw it",
  read: "You marked it as read",
  archived: "You archived it",
};

async function loadExplanation(box, notificationId) {
  const explanation = await callApi("GET", `/api/notifications/${notificationId}/why`);
  const steps = explanation.steps.map((step) => {
    const date = new Date(step.at);
    return el("li", {}, `${STEP_TEXTS[step.name] ?? step.name}, `, el("time", { datetime: step.at, title: date.toLocaleString() }, formatRelative(date)));
  });
  const channels = explanation.preferences.channels.map((channel) => channel.toLowerCase()).join(", ");
  box.replaceChildren(
    el("p", {}, `${explanation.lane.because}. ${explanation.aggregation.because}.`),
    el("p", {}, channels ? `By your preferences it went to: ${channels}.` : "By your preferences it went to this list only."),
    el("ol.group-steps", { "aria-label": "What happened" }, ...steps),
  );
}
