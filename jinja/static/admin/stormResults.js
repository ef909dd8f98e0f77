// Renders a storm: ledger, samples, comparison of both ways (and with another storm), remarks, messages, the list of kept storms.
import { byId, el, formatNumber, reconcileChildren, setText } from "./dom.js";

export const WAYS = { rowPerLike: "One row per like", pipeline: "Pipeline" };
const LEDGER_COLUMNS = ["accepted", "written", "announced", "lost", "doubled"];
const MAX_SAMPLE_ROWS = 120;
const UNKNOWN = "–";

const formatValue = (value) => (value === null || value === undefined ? UNKNOWN : formatNumber(value));
const startTime = ({ createdAt }) => new Date(createdAt).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });

export function describeOptions({ likes, posts, people, rate, comments }) {
  const where = posts === 1 ? "one post" : `${posts} posts`;
  const who = people === likes ? "" : ` by ${formatNumber(people)} people`;
  return `${formatNumber(likes)} likes of ${where}${who} at ${formatNumber(rate)}/s${comments ? ", with comments" : ""}`;
}

// The final ledger of a way; while it runs, what its last sample knows.
function ledgerOf(storm, way) {
  if (storm?.ways[way]) return storm.ways[way].ledger;
  return storm?.samples?.findLast((sample) => sample.way === way) ?? {};
}

export function renderLedger(storm) {
  reconcileChildren(byId("ledger"), Object.keys(WAYS), (way) => way,
    (way) => el("tr", { "data-way": way }, el("th", { scope: "row" }, WAYS[way]), ...LEDGER_COLUMNS.map((name) => el("td", { class: "numeric", "data-cell": name }, UNKNOWN))),
    (row, way) => {
      const ledger = ledgerOf(storm, way);
      for (const name of LEDGER_COLUMNS) {
        const cell = row.querySelector(`[data-cell="${name}"]`);
        const isFinal = Boolean(storm?.ways[way]);
        const isCheck = name === "lost" || name === "doubled";
        setText(cell, formatValue(isCheck && !isFinal && !ledger[name] ? null : ledger[name])); // a zero before the end says nothing
        if (isCheck) cell.dataset.state = ledger[name] ? "bad" : isFinal && Number.isInteger(ledger[name]) ? "good" : "";
      }
    });
  const problems = Object.keys(WAYS).flatMap((way) => storm?.ways[way]?.ledger.problems ?? []);
  byId("ledger-problems").replaceChildren(...problems.map((problem) => el("li", { "data-level": "error" }, problem)));
}

export function renderSamples(samples) {
  const columns = ["offered", "answered", "accepted", "written", "announced", "queued", "answerP99Ms", "readerP99Ms", "lockWaiters"];
  byId("samples").replaceChildren(...samples.slice(-MAX_SAMPLE_ROWS).reverse().map((sample) => el("tr", {},
    el("th", { scope: "row" }, WAYS[sample.way]), el("td", { class: "numeric" }, sample.second),
    ...columns.map((name) => el("td", { class: "numeric" }, formatValue(sample[name]))))));
}

export function renderComparison(storm, other) {
  const storms = other ? [storm, other] : [storm];
  const heads = storms.flatMap((each) => Object.values(WAYS).map((way) => (other ? `${way}, ${startTime(each)}` : way)));
  byId("comparison-head").replaceChildren(...["Figure", ...heads, "Better"].map((text) => el("th", { scope: "col" }, text)));
  const rowOf = (each, name) => each.comparison.find((row) => row.name === name) ?? {};
  const betterText = (better) => (better === "equal" ? "equal" : WAYS[better] ?? UNKNOWN);
  byId("comparison").replaceChildren(...(storm?.comparison ?? []).map(({ name, label, unit, better }) => el("tr", { "data-figure": name },
    el("th", { scope: "row" }, unit ? `${label}, ${unit}` : label),
    ...storms.flatMap((each) => Object.keys(WAYS).map((way) => el("td", { class: "numeric" }, formatValue(rowOf(each, name)[way])))),
    el("td", { "data-better": better }, betterText(better)))));
  byId("remarks").replaceChildren(...(storm?.remarks ?? []).map((remark) => el("li", {}, remark)));
}

export function renderMessages(storm) {
  const told = storm?.ways.pipeline;
  setText(byId("told-summary"), told
    ? `${formatNumber(told.messageCount)} messages for ${formatNumber(told.ledger.written)} likes and comments. One row per like tells nothing by itself; a message per row would be ${formatNumber(told.ledger.written)}.`
    : UNKNOWN);
  byId("messages").replaceChildren(...(told?.messages ?? []).map((message) => el("li", {}, message)));
}

const finalCount = (storm, name) => {
  const counts = Object.values(storm.ways).map((way) => way.ledger[name]);
  return counts.length && counts.every(Number.isInteger) ? counts.reduce((sum, count) => sum + count, 0) : null;
};

// `onShow` and `onDelete` get the id of a storm.
export function renderKept(storms, shownId, { onShow, onDelete }) {
  byId("no-kept").hidden = storms.length > 0;
  const createRow = ({ id, options, createdAt }) => el("tr", {},
    el("th", { scope: "row" }, startTime({ createdAt })), el("td", {}, describeOptions(options)),
    ...["state", "lost", "doubled"].map((name) => el("td", { "data-cell": name })),
    el("td", {}, el("div", { class: "buttons" },
      el("button", { type: "button", class: "small secondary", "data-show": id, onclick: () => onShow(id) }, "Show"),
      el("button", { type: "button", class: "small danger", "data-delete": id, onclick: () => onDelete(id) }, "Delete"))));
  reconcileChildren(byId("kept"), storms, ({ id }) => id, createRow, (row, storm) => {
    setText(row.querySelector('[data-cell="state"]'), storm.error ? `${storm.state}: ${storm.error}` : storm.state);
    for (const name of ["lost", "doubled"]) setText(row.querySelector(`[data-cell="${name}"]`), formatValue(finalCount(storm, name)));
    row.querySelector("[data-show]").setAttribute("aria-pressed", String(storm.id === shownId));
    row.querySelector("[data-delete]").disabled = storm.state === "running";
  });
  const others = storms.filter((storm) => storm.id !== shownId && storm.comparison.length > 0);
  reconcileChildren(byId("compare-with"), [null, ...others], (storm) => storm?.id, (storm) => el("option", { value: storm?.id ?? "" },
    storm ? `${startTime(storm)}: ${describeOptions(storm.options)}` : "no other storm"));
}
