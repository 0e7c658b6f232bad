// The one script of the interface. Every page works without it; it makes
// them quicker: htmx for parts of pages, keys, copying, and the reader's time.
import htmx from "htmx.org";
import { watchCharts } from "./chart.js";
import { localise } from "./time.js";

Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  scrollIntoViewOnBoost: false,
});

watchCopy();
watchMenus();
watchDialogs();
watchKeys();
watchToasts();
watchRequests();
watchFilters();
keepTyping();
watchCharts();
refresh(document);
document.addEventListener("htmx:load", (e) => refresh(e.target));
setInterval(() => localise(document), 30_000);

// refresh brings a new part of the page up to date with the reader.
function refresh(root) {
  localise(root);
  for (const button of root.querySelectorAll?.(".copy[hidden]") ?? []) button.hidden = false;
  for (const button of root.querySelectorAll?.("form[data-auto] [data-plain]") ?? []) button.hidden = true;
  for (const log of root.querySelectorAll?.(".log[data-follow]") ?? []) log.scrollTop = log.scrollHeight;
}

function watchCopy() {
  document.addEventListener("click", async (e) => {
    const button = e.target.closest?.(".copy");
    if (!button) return;
    const source = button.closest("[data-copy-scope]")?.querySelector("[data-copy]");
    await navigator.clipboard?.writeText(source?.dataset.copy || source?.textContent || "");
    button.classList.add("copied");
    say("Copied");
    setTimeout(() => button.classList.remove("copied"), 1600);
  });
}

// watchMenus closes an open menu on a click elsewhere and on Escape.
function watchMenus() {
  const open = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (e) => {
    for (const menu of open()) if (!menu.contains(e.target)) menu.open = false;
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

// watchDialogs opens dialogs where the browser has no command attribute yet.
function watchDialogs() {
  if ("command" in HTMLButtonElement.prototype) return;
  document.addEventListener("click", (e) => {
    const button = e.target.closest?.("button[commandfor]");
    const dialog = button && document.getElementById(button.getAttribute("commandfor"));
    if (!dialog) return;
    if (button.getAttribute("command") === "show-modal") dialog.showModal();
    else dialog.close();
  });
}

function watchKeys() {
  document.addEventListener("keydown", (e) => {
    const typing = e.target.closest?.("input, textarea, select, [contenteditable]");
    const slash = e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey;
    const palette = e.key.toLowerCase() === "k" && (e.metaKey || e.ctrlKey);
    const search = document.getElementById("search");
    if ((slash || palette) && search) {
      e.preventDefault();
      search.focus();
      search.select();
    }
  });
}

// watchToasts lets a notice go when it is dismissed, and after a while unless
// the reader is on it. Errors stay.
function watchToasts() {
  document.addEventListener("click", (e) => e.target.closest?.(".toast-close")?.closest(".toast")?.remove());
  for (const toast of document.querySelectorAll(".toasts:not(.toasts-static) .toast:not(.tone-bad)")) fade(toast);
}

function fade(toast) {
  setTimeout(() => (toast.matches(":hover, :focus-within") ? fade(toast) : toast.remove()), 8000);
}

// watchRequests shows in place what a failed request left behind.
function watchRequests() {
  const failed = (e) => {
    const target = e.detail.target;
    const template = document.getElementById("request-failed");
    if (!target?.matches?.("[data-lazy]") || !template) return notice();
    target.replaceChildren(template.content.cloneNode(true));
    target.setAttribute("aria-busy", "false");
  };
  document.addEventListener("htmx:responseError", failed);
  document.addEventListener("htmx:sendError", failed);
  document.addEventListener("htmx:timeout", failed);
  document.addEventListener("click", (e) => {
    const again = e.target.closest?.("[data-again]");
    const part = again?.closest("[data-lazy]");
    if (part) htmx.trigger(part, "again");
  });
}

function notice() {
  const template = document.getElementById("request-failed-toast");
  const toasts = document.querySelector(".toasts");
  if (template && toasts) toasts.append(template.content.cloneNode(true));
}

// watchFilters sends a form when one of its choices changes, and hides the
// button that does it without a script.
function watchFilters() {
  document.addEventListener("change", (e) => {
    if (e.target.matches?.("select")) e.target.closest("form[data-auto]")?.requestSubmit();
  });
}

// While one types into the filter, answers that are on their way must not
// take letters back.
function keepTyping() {
  let typed = null;
  document.addEventListener("htmx:beforeSwap", () => {
    const input = document.activeElement;
    typed = input?.id === "filter" ? input.value : null;
  });
  document.addEventListener("htmx:afterSettle", () => {
    const input = document.getElementById("filter");
    if (typed !== null && input && document.activeElement === input) input.value = typed;
  });
}

// say tells screen readers what changed without moving the focus.
function say(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}
