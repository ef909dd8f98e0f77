// Where the user is in the guided tour: {step, status}. Kept in localStorage. Apart from load() and save(), pure functions.
const STORAGE_KEY = "tour";
const STATUSES = ["open", "left", "declined"]; // declined or finished: it is not offered again; the menu still opens it

export const initialProgress = { step: 0, status: "open" };

// Whatever the storage contains becomes valid progress.
export function parseProgress(stored, stepCount) {
  try {
    const { step, status } = JSON.parse(stored);
    const isValid = Number.isInteger(step) && step >= 0 && step < stepCount && STATUSES.includes(status);
    return isValid ? { step, status } : initialProgress;
  } catch {
    return initialProgress;
  }
}

export const moveBy = (progress, change, stepCount) => ({ ...progress, step: Math.min(stepCount - 1, Math.max(0, progress.step + change)) });
export const leave = (progress) => ({ ...progress, status: "left" });
export const finish = () => ({ step: 0, status: "declined" });
export const decline = (progress) => ({ ...progress, status: "declined" });
export const resume = (progress) => ({ ...progress, status: "open" });
// On entering the demo: a tour that was left is offered again.
export const offer = (progress) => (progress.status === "declined" ? progress : resume(progress));

export function loadProgress(stepCount) {
  try {
    return parseProgress(localStorage.getItem(STORAGE_KEY), stepCount);
  } catch {
    return initialProgress; // storage is disabled: the tour starts on each page
  }
}

export function saveProgress(progress) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(progress));
  } catch { /* storage is disabled */ }
}
