// Before anything is painted: style.css shows what needs scripts, and hides what is for those without.
document.documentElement.classList.add("js");
