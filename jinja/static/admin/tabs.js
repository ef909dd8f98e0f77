// ARIA tabs: click, arrow keys, Home and End select. `onSelect` is called with the selected tab.
export function startTabs(tabs, onSelect) {
  const select = (selected) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === selected));
      tab.tabIndex = tab === selected ? 0 : -1;
    }
    onSelect(selected);
  };
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const index = tabs.indexOf(event.currentTarget);
    const target = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step && (index + step + tabs.length) % tabs.length);
    if (target === undefined) return;
    event.preventDefault();
    tabs[target].focus();
    select(tabs[target]);
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", onKeyDown);
  }
  return select;
}
