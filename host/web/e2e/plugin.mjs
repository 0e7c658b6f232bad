// Walks a plugin's life in the running portal: what it shows, switched off and
// on, uninstalled, and installed again with consent; nothing is restarted.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, go, open, person, settled, signedIn, url, wellMade } from "./browser.mjs";

let browser, state;

before(async () => {
  browser = await open();
  state = await signedIn(browser);
});

after(() => browser?.close());

// confirm presses a button of the open dialog.
async function confirm(page, label) {
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await accessible(page, `the dialog of ${label}`);
  await dialog.getByRole("button", { name: label, exact: true }).click();
}

// shownBy is the address of an entity about which plugins have something to
// say, and the names of their cards.
async function shownBy(page) {
  await go(page, "/catalog?kind=Component");
  const hrefs = await page.locator("#catalog-list td a.title").evaluateAll((links) => links.map((a) => a.getAttribute("href")));
  for (const href of hrefs) {
    const text = await (await page.request.get(url + href)).text();
    if (text.includes("data-lazy")) return href;
  }
  throw new Error("no entity of the first page has a plugin's card");
}

test("a plugin is switched off and on while people look", { timeout: 120_000 }, async () => {
  const { context, page, faults } = await person(browser, { state });
  const href = await shownBy(page);
  await go(page, href);
  const cards = page.locator("[data-lazy]");
  const before = await cards.count();
  const plugin = (await cards.first().getAttribute("hx-get")).split("/")[3];
  assert.ok(!(await cards.first().locator(".failed").count()), "the plugin's card failed");

  await go(page, `/plugins/${plugin}?tab=operations`);
  const operation = await page.locator("main td a").first().innerText();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.locator(".page-head .chip", { hasText: "Disabled" }).waitFor();
  await wellMade(page, "a disabled plugin's page");
  await accessible(page, "a disabled plugin's page");
  await go(page, href);
  assert.ok((await page.locator("[data-lazy]").count()) < before, "the cards of a disabled plugin stay");
  await go(page, "/docs");
  assert.equal(await page.locator(`details[id="${operation}"]`).count(), 0, "the operations of a disabled plugin stay in the reference");

  await go(page, `/plugins/${plugin}`);
  await page.getByRole("button", { name: "Enable" }).click();
  await page.locator(".page-head .chip", { hasText: "Active" }).waitFor({ timeout: 60_000 });
  await go(page, href);
  assert.equal(await page.locator("[data-lazy]").count(), before);
  await go(page, `/docs#${operation}`);
  assert.equal(await page.locator(`details[id="${operation}"]`).count(), 1);
  assert.deepEqual(faults, []);
  await context.close();
});

test("a plugin is uninstalled, and installed again with consent", { timeout: 180_000 }, async () => {
  const { context, page, faults } = await person(browser, { state });
  await go(page, "/plugins");
  const link = page.locator("td a.title").first();
  const [href, title] = [await link.getAttribute("href"), await link.innerText()];
  await go(page, `${href}?tab=configuration`);
  const known = await page.locator("main input[name^='config/']").evaluateAll((inputs) => inputs.filter((i) => i.value && i.type !== "checkbox").map((i) => [i.name, i.value]));

  await page.locator("details.menu summary", { hasText: "More actions" }).click();
  await page.locator(".menu-list").getByRole("button", { name: "Uninstall" }).click();
  await confirm(page, "Uninstall");
  await page.waitForURL(`${url}/plugins`);
  await page.locator(".toast", { hasText: "is uninstalled" }).waitFor();

  await page.getByRole("link", { name: `Review and install ${title}` }).click();
  await settled(page);
  await wellMade(page, "the page of a plugin to install");
  await accessible(page, "the page of a plugin to install");
  assert.ok(await page.locator(".consent li").count(), "there is nothing to consent to");
  for (const why of await page.locator(".consent li .why").allInnerTexts()) assert.ok(why.trim(), "a permission has no reason");
  for (const [name, value] of known) await page.locator(`[name="${name}"]`).fill(value);
  await page.getByRole("button", { name: "Grant and install" }).click();
  await page.waitForURL(url + href);
  await page.locator(".page-head .chip", { hasText: "Active" }).waitFor({ timeout: 120_000 });
  await go(page, `${href}?tab=permissions`);
  assert.equal(await page.locator(".consent .chip", { hasText: "Not granted" }).count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});

test("a configuration that cannot be comes back with what is wrong", async () => {
  const { context, page, faults } = await person(browser, { state });
  await go(page, "/plugins");
  await page.locator("td a.title").first().click();
  await page.getByRole("link", { name: "Configuration" }).click();
  const address = page.locator("input[type=url]").first();
  const before = await address.inputValue();
  await page.locator("form", { has: address }).evaluate((f) => (f.noValidate = true));
  await address.fill("not an address");
  await page.getByRole("button", { name: "Save configuration" }).click();
  await page.locator(".banner.tone-bad").waitFor();
  await wellMade(page, "a refused configuration");
  await accessible(page, "a refused configuration");
  assert.equal(await page.locator("input[type=url]").first().inputValue(), "not an address");
  await page.locator("input[type=url]").first().fill(before);
  await page.getByRole("button", { name: "Save configuration" }).click();
  await page.locator(".toast", { hasText: "is saved" }).waitFor();
  assert.deepEqual(faults.filter((f) => !f.includes("422")), []);
  await context.close();
});
