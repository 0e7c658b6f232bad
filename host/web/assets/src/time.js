// Times in the reader's zone: what the server wrote relative stays up to
// date, and the exact time shows on hover.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const formats = { clock, day, exact };

// localise rewrites the time elements under root.
export function localise(root) {
  for (const el of root.querySelectorAll?.("time[datetime]") ?? []) {
    const at = new Date(el.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const format = formats[el.dataset.as];
    if (format) el.textContent = format.format(at);
    else if (el.dataset.as === "ago") el.textContent = ago(at);
    if (el.dataset.as === "ago") el.title = exact.format(at);
  }
}

// at formats one instant for a chart's tooltip.
export function at(ms) {
  return exact.format(new Date(ms));
}

// ago says how long ago, or in how long, in the words that the server uses.
function ago(then) {
  const seconds = Math.round((Date.now() - then.getTime()) / 1000);
  const far = Math.abs(seconds);
  const words = span(far, then);
  if (far < 45) return seconds < -5 ? "in a moment" : "just now";
  if (far >= 30 * 86400) return words;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}

function span(far, then) {
  if (far < 45) return "";
  if (far < 3570) return `${Math.max(1, Math.round(far / 60))} min`;
  if (far < 36 * 3600) return `${Math.round(far / 3600)} h`;
  if (far < 30 * 86400) return `${Math.round(far / 86400)} days`;
  return then.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
