// Walks the portal as people do: signing in, looking, filtering, registering,
// changing the theme; by keyboard, on a narrow screen and without a script.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, go, looks, open, person, settled, signedIn, url, wellMade } from "./browser.mjs";

let browser, state;

before(async () => {
  browser = await open();
  state = await signedIn(browser);
});

after(() => browser?.close());

// entities are the addresses of some entities of this portal, with their tabs:
// the first, and the first about which plugins have something to say.
async function entities(page) {
  await go(page, "/catalog?kind=Component");
  const hrefs = await page.locator("#catalog-list td a.title").evaluateAll((links) => links.map((a) => a.getAttribute("href")));
  const chosen = new Set(hrefs.slice(0, 1));
  for (const href of hrefs) {
    const text = await (await page.request.get(url + href)).text();
    if (!text.includes("data-lazy")) continue;
    chosen.add(href);
    break;
  }
  const out = [];
  for (const href of chosen) {
    await go(page, href);
    out.push(...(await page.locator(".tabs a").evaluateAll((tabs) => tabs.map((a) => a.getAttribute("href")))));
  }
  return out;
}

// plugins are the addresses of the installed plugins' pages.
async function plugins(page) {
  await go(page, "/plugins");
  return page.locator(".card:first-of-type td a.title").evaluateAll((links) => links.map((a) => a.getAttribute("href")));
}

for (const look of looks) {
  test(`every page at ${look.width} px in the ${look.theme}`, { timeout: 300_000 }, async () => {
    const { context, page, faults } = await person(browser, { ...look, state });
    const paths = ["/", "/catalog", "/catalog?kind=Component&q=a", "/catalog?q=nothing-is-called-this", "/catalog/register", "/catalog/locations", "/catalog/problems", "/plugins", "/settings",
      "/settings/tokens", "/settings/members", "/settings/audit", "/docs", "/-/components"];
    paths.push(...(await entities(page)));
    for (const path of await plugins(page)) paths.push(path, ...["permissions", "configuration", "operations", "readme"].map((tab) => `${path}?tab=${tab}`));
    for (const path of paths) {
      const response = await go(page, path);
      assert.equal(response.status(), 200, path);
      await wellMade(page, path);
      await accessible(page, `${path} at ${look.width} px, ${look.theme}`);
    }
    assert.deepEqual(faults, []);
    await context.close();
  });
}

test("a stranger is asked to sign in and then sees what they came for", async () => {
  const { context, page, faults } = await person(browser);
  await go(page, "/catalog?kind=API");
  assert.equal(new URL(page.url()).pathname, "/login");
  await wellMade(page, "/login");
  await accessible(page, "/login");
  await page.getByLabel("E-mail address").fill("nobody@example.org");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await accessible(page, "/login, refused");
  assert.deepEqual(faults.filter((f) => !f.includes("401")), []);
  await context.close();
});

test("a page that is not there says so", async () => {
  const { context, page } = await person(browser, { state });
  const response = await go(page, "/no/such/page");
  assert.equal(response.status(), 404);
  await wellMade(page, "the page of a missing page");
  await accessible(page, "the page of a missing page");
  await context.close();
});

test("filters change the list, the counts and the address", async () => {
  const { context, page, faults } = await person(browser, { state });
  await go(page, "/catalog");
  const before = await page.locator(".toolbar .summary").innerText();
  await page.locator(".facet", { hasText: "Component" }).first().click();
  await page.waitForURL(/kind=Component/);
  await settled(page);
  await page.locator(".toolbar .chip", { hasText: "Component" }).waitFor();
  assert.notEqual(await page.locator(".toolbar .summary").innerText(), before);
  await page.locator("#filter").pressSequentially("zzz-nothing", { delay: 20 });
  await page.getByText("Nothing matches").waitFor();
  assert.match(page.url(), /q=zzz-nothing/);
  assert.equal(await page.locator("#filter").inputValue(), "zzz-nothing");
  await page.goBack();
  await page.getByRole("link", { name: /remove this filter/ }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test("the keyboard reaches search, content, menu and dialogs", async () => {
  const { context, page, faults } = await person(browser, { state });
  await go(page, "/catalog");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("pay");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=pay/);
  const menu = page.locator(".topbar details.menu");
  await menu.locator("summary").focus();
  await page.keyboard.press("Enter");
  assert.ok(await menu.evaluate((m) => m.open));
  await page.keyboard.press("Escape");
  assert.ok(!(await menu.evaluate((m) => m.open)));
  await go(page, "/-/components");
  const opener = page.locator("button[commandfor=gallery-dialog][command=show-modal]");
  await opener.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await accessible(page, "an open dialog");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.deepEqual(faults, []);
  await context.close();
});

test("the theme stays as chosen, without a flash", async () => {
  const { context, page, faults } = await person(browser, { state, theme: "light" });
  await go(page, "/settings");
  await page.locator("main").getByRole("button", { name: "Dark" }).click();
  await page.waitForLoadState();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(21, 20, 18)");
  await page.locator("main").getByRole("button", { name: "System" }).click();
  await page.waitForLoadState();
  assert.equal(await page.locator("html").getAttribute("data-theme"), null);
  assert.deepEqual(faults, []);
  await context.close();
});

test("a broken location shows what is wrong before anything changes", async () => {
  const { context, page, faults } = await person(browser, { state });
  await go(page, "/catalog/register");
  await page.getByLabel("Location").fill("https://127.0.0.1:1/catalog-info.yaml");
  await page.getByRole("button", { name: "Show what it adds" }).click();
  await page.locator(".banner.tone-bad, .card-head h2:text('Problems')").first().waitFor();
  await wellMade(page, "a location that cannot be read");
  await accessible(page, "a location that cannot be read");
  assert.deepEqual(faults.filter((f) => !/status of 4\d\d/.test(f)), []);
  await context.close();
});

test("on a narrow screen the sections open as a sheet", async () => {
  const { context, page, faults } = await person(browser, { state, width: 360 });
  await go(page, "/");
  const sheet = page.locator("#sidebar");
  assert.ok(!(await sheet.isVisible()));
  await page.getByRole("button", { name: "Sections" }).click();
  await sheet.waitFor({ state: "visible" });
  await accessible(page, "the open sheet");
  await sheet.getByRole("link", { name: "Plugins" }).click();
  await page.waitForURL(`${url}/plugins`);
  assert.deepEqual(faults, []);
  await context.close();
});

test("pages work without a script", async () => {
  const { context, page } = await person(browser, { state, script: false });
  await page.goto(`${url}/catalog?kind=Component`);
  await page.locator("#filter").fill("a");
  await page.locator("#filter").press("Enter");
  await page.waitForURL(/q=a/);
  await page.locator("#catalog-list td a.title").first().click();
  assert.equal(await page.locator("h1").count(), 1);
  const more = page.locator("[data-lazy] noscript a, [data-lazy] a:has-text('Show ')").first();
  if (await more.count()) {
    await more.click();
    assert.match(page.url(), /\/-\/views\//);
    assert.equal(await page.locator("h1").count(), 1);
  }
  await context.close();
});
