// The times until which a notification can be snoozed, in the reader's time zone, and the choices below a notification.
import { el } from "./dom.js";

const EVENING_HOUR = 18;
const MORNING_HOUR = 9;
const LATE_HOURS = 3; // after 17:00 the evening is too close
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

// [{label, at}], from the nearest to the furthest. On Sundays tomorrow is next week.
export function snoozeChoices(now = new Date()) {
  const at = (daysAhead, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + daysAhead, hour);
  const isLate = now > at(0, EVENING_HOUR - 1);
  const daysToMonday = (8 - now.getDay()) % 7 || 7;
  const choices = [
    isLate
      ? { label: `In ${LATE_HOURS} hours`, at: new Date(now.getTime() + LATE_HOURS * 3600 * 1000) }
      : { label: "Tonight", at: at(0, EVENING_HOUR) },
    { label: "Tomorrow", at: at(1, MORNING_HOUR) },
  ];
  if (daysToMonday > 1) choices.push({ label: "Next week", at: at(daysToMonday, MORNING_HOUR) });
  return choices;
}

// "18:00" today, else "Mon, 7 Dec, 09:00".
export function formatSnoozeTime(date, now = new Date()) {
  const time = timeFormat.format(date);
  return date.toDateString() === now.toDateString() ? time : `${dayFormat.format(date)}, ${time}`;
}

// `onChoose` is called with the chosen Date.
export function createSnoozeChoices(onChoose) {
  const buttons = snoozeChoices().map(({ label, at }) =>
    el("button.small.secondary", { type: "button", on: { click: () => onChoose(at) } }, label, " ", el("span.muted", {}, formatSnoozeTime(at))),
  );
  return el("div.group-details.snooze-choices", { "data-details": "snooze", role: "group", "aria-label": "Snooze until" }, ...buttons);
}
