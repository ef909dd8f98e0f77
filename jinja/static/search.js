// The search in the bar: people while one types. Arrows choose, Enter opens, Escape closes; without a choice the
// form goes to the page of results.
import { call } from "./api.js";
import { initials } from "./initials.js";

const PAUSE_MS = 250;
let list = null;
let asked = 0; // answers may come out of order: only the newest question counts
let timer = 0;

const options = () => [...list.querySelectorAll("[role=option]")];

function note(text) {
  const line = document.createElement("p");
  line.className = "note";
  line.textContent = text;
  list.replaceChildren(line);
}

function option(person, number) {
  const line = document.createElement("a");
  line.id = `found-${number}`;
  line.href = `/users/${encodeURIComponent(person.username)}`;
  line.tabIndex = -1;
  line.setAttribute("role", "option");
  line.setAttribute("aria-selected", "false");
  const face = document.createElement("span");
  const hue = [...new TextEncoder().encode(person.username)].reduce((sum, one) => sum + one, 0) % 8;
  face.className = `avatar tiny hue-${hue}`;
  face.setAttribute("aria-hidden", "true");
  face.textContent = initials(person.name ?? person.username);
  const words = document.createElement("span");
  words.className = "who-text";
  const name = document.createElement("bdi");
  name.className = "name";
  name.textContent = person.name ?? person.username;
  const under = document.createElement("span");
  under.className = "muted";
  under.textContent = `@${person.username}`;
  words.append(name, under);
  line.append(face, words);
  return line;
}

function choose(input, to) {
  for (const one of options()) one.setAttribute("aria-selected", String(one === to));
  if (to) {
    input.setAttribute("aria-activedescendant", to.id);
    to.scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function show(input, open) {
  list.hidden = !open;
  input.setAttribute("aria-expanded", String(open));
  if (!open) input.removeAttribute("aria-activedescendant");
}

async function ask(input) {
  const words = input.value.trim();
  const mine = ++asked;
  if (!words) {
    show(input, false);
    return;
  }
  if (!input.validity.valid) {
    note(input.validationMessage);
    show(input, true);
    return;
  }
  try {
    const { users } = await call("GET", `/api/users/search?limit=6&q=${encodeURIComponent(words)}`);
    if (mine !== asked) return;
    if (users.length) list.replaceChildren(...users.map(option));
    else note("Nobody found");
  } catch {
    if (mine === asked) note("The search does not answer. Press Enter to try again.");
  }
  if (mine === asked) show(input, document.activeElement === input);
}

function onKey(event) {
  const input = event.target;
  const all = options();
  const at = all.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    show(input, false);
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && all.length && !list.hidden) {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    choose(input, all[(at + step + all.length + (at < 0 && step < 0 ? 1 : 0)) % all.length]);
  } else if (event.key === "Enter" && at >= 0 && !list.hidden) {
    event.preventDefault();
    all[at].click();
  }
}

export function startSearch() {
  const form = document.querySelector("[data-find]");
  if (!form) return;
  const input = form.querySelector("input");
  list = document.createElement("div");
  list.className = "found";
  list.id = "found";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "People");
  form.append(list);
  for (const [name, value] of [["role", "combobox"], ["aria-controls", "found"], ["aria-expanded", "false"], ["aria-autocomplete", "list"]]) {
    input.setAttribute(name, value);
  }
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(input), PAUSE_MS);
  });
  input.addEventListener("focus", () => show(input, list.childElementCount > 0 && input.value.trim() !== ""));
  input.addEventListener("keydown", onKey);
  document.addEventListener("pointerdown", (event) => {
    if (!form.contains(event.target)) show(input, false);
  });
  input.addEventListener("blur", (event) => {
    if (!form.contains(event.relatedTarget)) show(input, false);
  });
}
