// Runs in <head>, before the first paint: marks the document as scripted, so that CSS hides what only works without scripts.
document.documentElement.classList.add("js");

// Removes a post's picture that fails to load. Error events of images do not bubble, hence the capture phase.
document.addEventListener("error", ({ target }) => {
  if (target instanceof HTMLImageElement && target.closest("[data-post]")) target.remove();
}, true);
