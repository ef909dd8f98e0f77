// Search box in the top bar: suggests people while the user types (a combobox with a listbox of results).
// Arrow keys select, Enter opens, Escape closes; without a selection the form goes to the results page.
import { callApi } from "./api.js";
import { initials } from "./initials.js";

const DEBOUNCE_MS = 250;
let resultList = null;
let latestRequest = 0; // replies may arrive out of order: only the one to the latest request is rendered
let debounceTimer = 0;

const options = () => [...resultList.querySelectorAll("[role=option]")];

function showMessage(text) {
  const message = document.createElement("p");
  message.className = "search-message";
  message.textContent = text;
  resultList.replaceChildren(message);
}

function createOption(user, index) {
  const option = document.createElement("a");
  option.id = `search-result-${index}`;
  option.href = `/users/${encodeURIComponent(user.username)}`;
  option.tabIndex = -1;
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", "false");
  const avatar = document.createElement("span");
  const hue = [...new TextEncoder().encode(user.username)].reduce((sum, byte) => sum + byte, 0) % 8;
  avatar.className = `avatar tiny hue-${hue}`;
  avatar.setAttribute("aria-hidden", "true");
  avatar.textContent = initials(user.name ?? user.username);
  const text = document.createElement("span");
  text.className = "user-text";
  const name = document.createElement("bdi");
  name.className = "name";
  name.textContent = user.name ?? user.username;
  const username = document.createElement("span");
  username.className = "muted";
  username.textContent = `@${user.username}`;
  text.append(name, username);
  option.append(avatar, text);
  return option;
}

function selectOption(input, selected) {
  for (const option of options()) option.setAttribute("aria-selected", String(option === selected));
  if (selected) {
    input.setAttribute("aria-activedescendant", selected.id);
    selected.scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function setOpen(input, isOpen) {
  resultList.hidden = !isOpen;
  input.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) input.removeAttribute("aria-activedescendant");
}

async function searchUsers(input) {
  const query = input.value.trim();
  const request = ++latestRequest;
  if (!query) {
    setOpen(input, false);
    return;
  }
  if (!input.validity.valid) {
    showMessage(input.validationMessage);
    setOpen(input, true);
    return;
  }
  try {
    const { users } = await callApi("GET", `/api/users/search?limit=6&q=${encodeURIComponent(query)}`);
    if (request !== latestRequest) return;
    if (users.length) resultList.replaceChildren(...users.map(createOption));
    else showMessage("Nobody found");
  } catch {
    if (request === latestRequest) showMessage("The search does not answer. Press Enter to try again.");
  }
  if (request === latestRequest) setOpen(input, document.activeElement === input);
}

function onKeyDown(event) {
  const input = event.target;
  const all = options();
  const index = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "Escape" && !resultList.hidden) {
    event.preventDefault();
    setOpen(input, false);
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && all.length && !resultList.hidden) {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    selectOption(input, all[(index + step + all.length + (index < 0 && step < 0 ? 1 : 0)) % all.length]);
  } else if (event.key === "Enter" && index >= 0 && !resultList.hidden) {
    event.preventDefault();
    all[index].click();
  }
}

export function startSearch() {
  const form = document.querySelector("[data-search]");
  if (!form) return;
  const input = form.querySelector("input");
  resultList = document.createElement("div");
  resultList.className = resultList.id = "search-results";
  resultList.hidden = true;
  resultList.setAttribute("role", "listbox");
  resultList.setAttribute("aria-label", "People");
  form.append(resultList);
  for (const [name, value] of [["role", "combobox"], ["aria-controls", resultList.id], ["aria-expanded", "false"], ["aria-autocomplete", "list"]]) {
    input.setAttribute(name, value);
  }
  input.addEventListener("input", () => {
    clearTimeout(debounceTimer);
    debounceTimer = setTimeout(() => searchUsers(input), DEBOUNCE_MS);
  });
  input.addEventListener("focus", () => setOpen(input, resultList.childElementCount > 0 && input.value.trim() !== ""));
  input.addEventListener("keydown", onKeyDown);
  document.addEventListener("pointerdown", (event) => {
    if (!form.contains(event.target)) setOpen(input, false);
  });
  input.addEventListener("blur", (event) => {
    if (!form.contains(event.relatedTarget)) setOpen(input, false);
  });
}
