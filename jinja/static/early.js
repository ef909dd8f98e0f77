// Before anything is painted: style.css shows what needs scripts, and hides what is for those without.
document.documentElement.classList.add("js");

// A picture that does not come breaks nothing. Errors do not bubble: they are caught on the way down, from the start.
document.addEventListener("error", ({ target }) => {
  if (target instanceof HTMLImageElement && target.closest("[data-post]")) target.remove();
}, true);
