// Tabs and type filter of a notification list. The server renders links and a form; this turns them into ARIA tabs.

// `onSelect` is called with the view {tab, type} that the user chose.
export function startTabs(root, onSelect) {
  const tabList = root.querySelector("[data-tabs]");
  const tabs = [...tabList.querySelectorAll("[data-tab]")];
  const body = root.querySelector("[data-body]");
  const filterForm = root.querySelector("[data-filter]");
  const currentView = () => ({ tab: tabs.find((tab) => tab.getAttribute("aria-selected") === "true").dataset.tab, type: filterForm.elements.type.value });

  const select = (selected) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === selected));
      tab.tabIndex = tab === selected ? 0 : -1;
    }
    body.setAttribute("aria-labelledby", selected.id);
    filterForm.elements.type.disabled = selected.dataset.tab === "mentions"; // the tab implies the type
  };
  tabList.setAttribute("role", "tablist");
  tabList.setAttribute("aria-label", "Which notifications");
  body.setAttribute("role", "tabpanel");
  for (const [index, tab] of tabs.entries()) {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", body.id);
    tab.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      select(tab);
      onSelect(currentView());
    });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === " ") tab.click();
      if (step) tabs.at((index + step) % tabs.length).focus();
      if (step) tabs.at((index + step) % tabs.length).click();
      if (step || event.key === " ") event.preventDefault();
    });
  }
  select(tabs.find((tab) => tab.getAttribute("aria-current") === "page") ?? tabs[0]);
  for (const tab of tabs) tab.removeAttribute("aria-current");
  for (const element of root.querySelectorAll("[data-no-script]")) element.hidden = true;
  filterForm.elements.type.addEventListener("change", () => onSelect(currentView()));
  filterForm.addEventListener("submit", (event) => event.preventDefault());
  return { currentView, renderCounts: (counts) => renderCounts(tabs, counts) };
}

function renderCounts(tabs, counts) {
  for (const tab of tabs) {
    const count = counts?.[tab.dataset.tab];
    if (count !== undefined) tab.querySelector("[data-count]").textContent = count;
  }
}
