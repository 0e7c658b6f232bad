// What the walks share: one browser, pages that fail on any console error or
// report of the content policy, and the accessibility rules of WCAG 2.2 AA.
//
// E2E_URL is the portal's address, E2E_LINK a one-time sign-in link; for more
// than one sign-in E2E_COOKIE may hold the value of a session instead.
import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

export const url = (process.env.E2E_URL ?? "").replace(/\/$/, "");
export const link = process.env.E2E_LINK ?? "";
assert.ok(url, "set E2E_URL to the portal's address");

// The sizes and themes in which every page is looked at.
export const looks = [1440, 360].flatMap((width) => ["light", "dark"].map((theme) => ({ width, theme })));

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function open() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

// person is a browser context of one reader and what went wrong in it.
export async function person(browser, { width = 1440, theme = "light", state, script = true } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 740 : 900 },
    colorScheme: theme,
    reducedMotion: "reduce",
    javaScriptEnabled: script,
    storageState: state,
  });
  const faults = [];
  await context.exposeBinding("reportPolicy", (_, text) => faults.push(text)).catch(() => {});
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => window.reportPolicy?.(`policy: ${e.violatedDirective} ${e.blockedURI} at ${e.sourceFile}:${e.lineNumber}`));
  });
  const page = await context.newPage();
  page.on("console", (m) => m.type() === "error" && faults.push(`console: ${m.text()} (${m.location().url})`));
  page.on("pageerror", (e) => faults.push(`script: ${e.message}`));
  return { context, page, faults };
}

// go opens a path and waits until its parts have come.
export async function go(page, path) {
  const response = await page.goto(url + path, { waitUntil: "load" });
  await settled(page);
  return response;
}

// settled waits until no part of the page is still on its way.
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector(".htmx-request, [data-lazy][aria-busy=true] .skeleton"), null, { timeout: 15_000 });
}

// accessible runs the rules on the page as it is.
export async function accessible(page, where) {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]).analyze();
  const told = violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 4).map((n) => `${n.target.join(" ")} ${n.failureSummary?.split("\n").slice(1, 2).join(" ")}`).join("\n    ")}`);
  assert.deepEqual(told, [], `${where} breaks accessibility rules`);
}

// wellMade checks what every page must have.
export async function wellMade(page, where) {
  assert.equal(await page.locator("h1").count(), 1, `${where} has one h1`);
  assert.match(await page.title(), /\S · \S/, `${where} has a title that names it`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${where} is ${over} px wider than the window`);
}

// signIn follows the one-time link the way a person does.
export async function signIn(page) {
  assert.ok(link, "set E2E_LINK to a one-time sign-in link");
  await page.goto(link.startsWith("http") ? link : url + link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((u) => !u.pathname.startsWith("/login"));
}

let session;

// signedIn returns what a browser stores of a session, signing in once.
export function signedIn(browser) {
  session ??= enter(browser);
  return session;
}

async function enter(browser) {
  if (process.env.E2E_COOKIE) {
    const { hostname } = new URL(url);
    return { cookies: [{ name: "callboard_session", value: process.env.E2E_COOKIE, domain: hostname, path: "/", expires: -1, httpOnly: true, secure: false, sameSite: "Lax" }], origins: [] };
  }
  const { context, page } = await person(browser);
  await signIn(page);
  const state = await context.storageState();
  await context.close();
  return state;
}
