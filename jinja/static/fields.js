// Small help with forms and menus: characters left, a preview of the picture, no form sent twice, menus that close.
// As the server counts (app/domain/text.py, normalize): code points in NFC with LF line ends.
const length = (text) => [...text.replace(/\r\n?/g, "\n").normalize("NFC")].length;
const characters = (count) => `${count.toLocaleString("en")} ${count === 1 ? "character" : "characters"}`;

// In place of minlength and maxlength, which count UTF-16 units and cut a pasted emoji in two.
function checkLength(field) {
  const count = length(field.value);
  const { min, max } = field.dataset;
  let fault = "";
  if (count > max) fault = `${characters(count - max)} too many`;
  else if (count && count < min) fault = `At least ${min} characters`;
  field.setCustomValidity(fault);
  const line = document.querySelector(`[data-counter="${field.id}"]`);
  if (line) line.textContent = fault || `${characters(max - count)} left`;
}

function startLengths() {
  const limited = "[data-min], [data-max]";
  const checkAll = () => document.querySelectorAll(limited).forEach(checkLength);
  document.addEventListener("input", ({ target }) => {
    if (target.matches(limited)) checkLength(target);
  });
  window.addEventListener("pageshow", checkAll); // a field keeps what was written when one comes back
  checkAll();
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
  startLengths();
  startPreview();
  startMenus();
  startOnce();
}
