// The guided tour of the demo, on every page of a session that was started by "Enter as Ada".
// #welcome offers the tour, #tour (the entry in the menu) opens it and goes to the page of the current step.
import { TourPanel } from "./panel.js";
import { decline, finish, leave, loadProgress, moveBy, offer, resume, saveProgress } from "./progress.js";
import { STEPS } from "./steps.js";

const KEEP_IN_VIEW_MS = 3000;
const menuEntry = document.querySelector("[data-tour-entry]");
const menu = menuEntry.closest("[data-menu]");
const announcer = document.getElementById("announcer");
let panel = null;

const announce = (text) => (announcer.textContent = text);
const stepPath = ({ path }) => path.replace("{username}", menuEntry.dataset.tourEntry);

// Marks what the step is about, also if it appears later. While a page that the tour led to fills up, the mark is
// kept in view, until the user does something.
const targetObserver = new MutationObserver(markTarget);
let keepInViewUntil = 0;
function markTarget() {
  const marked = document.querySelector("[data-tour-target]");
  const target = panel && isOnPageOfStep() ? document.querySelector(currentStep().target) : null;
  if (marked !== target) {
    marked?.removeAttribute("data-tour-target");
    target?.setAttribute("data-tour-target", "");
  }
  if (performance.now() < keepInViewUntil) target?.scrollIntoView({ block: "center", behavior: "instant" });
}
for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) {
  addEventListener(name, () => (keepInViewUntil = 0), { passive: true });
}

const progressNow = () => loadProgress(STEPS.length);
const currentStep = () => STEPS[progressNow().step];
const isOnPageOfStep = () => location.pathname === stepPath(currentStep());

function show({ isFocused, isRequested }) {
  const { step } = progressNow();
  panel ??= new TourPanel({ onMove: move, onLeave: () => close(leave), onDecline: () => close(decline), onFinish: () => close(finish) });
  panel.render(STEPS[step], step + 1, STEPS.length, isOnPageOfStep() ? null : `${stepPath(STEPS[step])}#tour`);
  keepInViewUntil = isRequested ? performance.now() + KEEP_IN_VIEW_MS : 0;
  if (isFocused) panel.focus();
  else announce(panel.summary);
  markTarget();
}

function goToPageOfStep() {
  if (isOnPageOfStep()) show({ isFocused: true, isRequested: true });
  else location.assign(`${stepPath(currentStep())}#tour`);
}

function move(change) {
  saveProgress(moveBy(progressNow(), change, STEPS.length));
  goToPageOfStep();
}

function close(change) {
  saveProgress(change(progressNow()));
  panel.remove();
  panel = null;
  markTarget();
  announce("The tour is closed. To open it again, choose Guided tour in your menu.");
  menu.querySelector("summary").focus();
}

function start() {
  const request = location.hash.slice(1);
  const isRequested = request === "tour" || request === "welcome";
  if (isRequested) {
    saveProgress((request === "tour" ? resume : offer)(progressNow()));
    history.replaceState(null, "", location.pathname + location.search);
    menu.open = false;
  }
  if (progressNow().status !== "open" || (panel && !isRequested)) return;
  if (isRequested && !isOnPageOfStep()) location.replace(`${stepPath(currentStep())}#tour`);
  else show({ isFocused: request === "tour", isRequested });
}

targetObserver.observe(document.getElementById("main"), { childList: true, subtree: true });
addEventListener("hashchange", start);
start();
