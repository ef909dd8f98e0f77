// What opens below a line: who is in the group, with a cursor of its own, or why it came.
import { call } from "../api.js";
import { ago } from "../times.js";
import { el, face } from "./dom.js";

const PART = 10;

export function opened(what, id) {
  const box = el("div.group-more", { "data-more": what });
  const load = what === "who" ? () => people(box, id) : () => reasons(box, id);
  attempt(box, load);
  return box;
}

function attempt(box, load) {
  load().catch((error) => {
    const again = el("button.small.quiet", { type: "button", on: { click: () => attempt(box, load) } }, "Try again");
    box.replaceChildren(el("p.error", { role: "alert" }, error.message), again);
  });
}

async function people(box, id) {
  const list = el("ul.group-people", { "aria-label": "Who it was" });
  const more = el("button.small.quiet", { type: "button", hidden: true }, "More people");
  let cursor = null;
  const next = async () => {
    const part = await call("GET", `/api/notifications/${id}/actors?limit=${PART}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    list.append(...part.actors.map(line));
    cursor = part.nextCursor;
    more.hidden = cursor === null;
  };
  more.addEventListener("click", async () => {
    const from = list.children.length;
    more.disabled = true;
    await next().catch((error) => box.append(el("p.error", { role: "alert" }, error.message)));
    more.disabled = false;
    list.children[from]?.querySelector("a").focus();
  });
  await next();
  box.replaceChildren(list, more);
}

function line(person) {
  const name = person.name || person.username;
  return el("li", {}, face({ ...person, name }), el("a", { href: `/users/${encodeURIComponent(person.username)}` }, el("bdi", {}, name)));
}

const STEPS = {
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

async function reasons(box, id) {
  const why = await call("GET", `/api/notifications/${id}/why`);
  const steps = why.steps.map((step) => {
    const when = new Date(step.at);
    return el("li", {}, `${STEPS[step.name] ?? step.name}, `, el("time", { datetime: step.at, title: when.toLocaleString() }, ago(when)));
  });
  const channels = why.preferences.channels.map((one) => one.toLowerCase()).join(", ");
  box.replaceChildren(
    el("p", {}, `${why.lane.because}. ${why.aggregation.because}.`),
    el("p", {}, channels ? `By your preferences it went to: ${channels}.` : "By your preferences it went to this list only."),
    el("ol.group-steps", { "aria-label": "What happened" }, ...steps),
  );
}
