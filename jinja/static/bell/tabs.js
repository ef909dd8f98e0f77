// The views of a list: tabs and the choice of a kind. Links and a form for those without scripts.

export function startTabs(root, choose) {
  const bar = root.querySelector("[data-tabs]");
  const tabs = [...bar.querySelectorAll("[data-tab]")];
  const body = root.querySelector("[data-body]");
  const form = root.querySelector("[data-filter]");
  const view = () => ({ tab: tabs.find((one) => one.getAttribute("aria-selected") === "true").dataset.tab, type: form.elements.type.value });

  const select = (chosen) => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", String(one === chosen));
      one.tabIndex = one === chosen ? 0 : -1;
    }
    body.setAttribute("aria-labelledby", chosen.id);
    form.elements.type.disabled = chosen.dataset.tab === "mentions"; // a kind already
  };
  bar.setAttribute("role", "tablist");
  bar.setAttribute("aria-label", "Which notifications");
  body.setAttribute("role", "tabpanel");
  for (const [place, one] of tabs.entries()) {
    one.setAttribute("role", "tab");
    one.setAttribute("aria-controls", body.id);
    one.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      select(one);
      choose(view());
    });
    one.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === " ") one.click();
      if (step) tabs.at((place + step) % tabs.length).focus();
      if (step) tabs.at((place + step) % tabs.length).click();
      if (step || event.key === " ") event.preventDefault();
    });
  }
  select(tabs.find((one) => one.getAttribute("aria-current") === "page") ?? tabs[0]);
  for (const one of tabs) one.removeAttribute("aria-current");
  for (const one of root.querySelectorAll("[data-plain]")) one.hidden = true;
  form.elements.type.addEventListener("change", () => choose(view()));
  form.addEventListener("submit", (event) => event.preventDefault());
  return { view, paint: (counts) => paint(tabs, counts) };
}

function paint(tabs, counts) {
  for (const one of tabs) {
    const count = counts?.[one.dataset.tab];
    if (count !== undefined) one.querySelector("[data-count]").textContent = count;
  }
}
