// Small helpers for forms and menus: picture preview, no double submit, closing menus, label of the theme button.
function startPicturePreview() {
  const input = document.querySelector("[data-preview]");
  if (!input) return;
  const picture = document.querySelector("[data-preview-picture]");
  const errorMessage = document.querySelector("[data-preview-error]");
  input.addEventListener("change", () => {
    errorMessage.hidden = true;
    picture.hidden = true;
    if (input.value && input.validity.valid) picture.src = input.value;
    else picture.removeAttribute("src");
  });
  picture.addEventListener("load", () => (picture.hidden = false));
  picture.addEventListener("error", () => {
    if (picture.hasAttribute("src")) errorMessage.hidden = false;
  });
}

function startMenus() {
  const openMenus = () => document.querySelectorAll("[data-menu][open]");
  document.addEventListener("pointerdown", (event) => {
    for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of openMenus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// A form that navigates is submitted once, however often its button is pressed.
function preventDoubleSubmit() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const button = event.submitter;
    if (event.target.dataset.submitted) event.preventDefault();
    event.target.dataset.submitted = "yes";
    if (button) setTimeout(() => (button.disabled = true));
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-submitted]")) {
      delete form.dataset.submitted;
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    }
  });
}

// Without a chosen theme the system's one applies: when that is dark, the menu offers the light one.
function startThemeButton() {
  const button = document.querySelector("[data-theme-button]");
  if (!button || document.documentElement.dataset.theme || !matchMedia("(prefers-color-scheme: dark)").matches) return;
  button.value = "light";
  button.lastChild.textContent = "Light theme";
  button.querySelector("use").setAttribute("href", "/static/icons.svg#sun");
}

export function startFormHelpers() {
  startThemeButton();
  startPicturePreview();
  startMenus();
  preventDoubleSubmit();
}
