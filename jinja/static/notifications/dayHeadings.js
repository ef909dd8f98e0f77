// Headings of the days in the list on the page /notifications.
import { el } from "./dom.js";

const DAY_MS = 24 * 3600 * 1000;
const formatDay = (date, now) =>
  new Intl.DateTimeFormat(undefined, {
    weekday: "long", day: "numeric", month: "long", ...(date.getFullYear() !== now.getFullYear() && { year: "numeric" }),
  }).format(date);

// "Today", "Yesterday" or the date, in the reader's time zone. A time in the future counts as today.
export function dayLabel(date, now = new Date()) {
  if (date >= now || date.toDateString() === now.toDateString()) return "Today";
  const noon = new Date(now.getFullYear(), now.getMonth(), now.getDate(), 12);
  if (date.toDateString() === new Date(noon.getTime() - DAY_MS).toDateString()) return "Yesterday";
  return formatDay(date, now);
}

export class DayHeadings {
  elements = new Map(); // label -> li

  // Puts a heading before the first item of each day. `items`: [{li, placedAt}], newest first.
  insertInto(items) {
    const nodes = [];
    let currentLabel = null;
    for (const { li, placedAt } of items) {
      const label = dayLabel(new Date(placedAt));
      if (label !== currentLabel) nodes.push(this.heading(label));
      currentLabel = label;
      nodes.push(li);
    }
    return nodes;
  }

  heading(label) {
    if (!this.elements.has(label)) this.elements.set(label, el("li.day", {}, el("h2", {}, label)));
    return this.elements.get(label);
  }
}
