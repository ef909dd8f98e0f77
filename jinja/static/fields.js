// Small help with forms and menus: letters left, a preview of the picture, no form sent twice, menus that close.
import { noun } from "./words.js";

const counters = () => document.querySelectorAll("[data-counter]");

function startCounters() {
  for (const line of counters()) {
    const field = document.getElementById(line.dataset.counter);
    const say = () => {
      const left = field.maxLength - field.value.length;
      line.textContent = `${left.toLocaleString("en")} ${noun(left, "character")} left`;
    };
    field.addEventListener("input", say);
    say();
  }
}

function startPreview() {
  const input = document.querySelector("[data-preview]");
  if (!input) return;
  const picture = document.querySelector("[data-preview-picture]");
  const wrong = document.querySelector("[data-preview-fault]");
  input.addEventListener("change", () => {
    wrong.hidden = true;
    picture.hidden = true;
    if (input.value && input.validity.valid) picture.src = input.value;
    else picture.removeAttribute("src");
  });
  picture.addEventListener("load", () => (picture.hidden = false));
  picture.addEventListener("error", () => {
    if (picture.hasAttribute("src")) wrong.hidden = false;
  });
}

function startMenus() {
  const open = () => document.querySelectorAll("[data-menu][open]");
  document.addEventListener("pointerdown", (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// A form that leaves the page is sent once, however often its button is pressed.
function startOnce() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const button = event.submitter;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
    if (button) setTimeout(() => (button.disabled = true));
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    }
  });
}

// Without a choice of one's own the machine's scheme is what one sees: the menu offers the other one.
function startScheme() {
  const button = document.querySelector("[data-scheme]");
  if (!button || document.documentElement.dataset.theme || !matchMedia("(prefers-color-scheme: dark)").matches) return;
  button.value = "light";
  button.lastChild.textContent = "Light colours";
  button.querySelector("use").setAttribute("href", "/static/icons.svg#sun");
}

export function startFields() {
  startScheme();
  startCounters();
  startPreview();
  startMenus();
  startOnce();
}
