// Uses the page as a clerk does, in the Chromium that is installed: log in, find a meter, sell, watch
// the sale end, see its ledger lines, read, trip the supply. Every page is photographed at desktop and
// phone width and must not scroll sideways; an error in the browser's console fails the run.
//
// Arguments: URL, operator, password, customer number, folder for the pictures; with "-" for the
// customer nothing is sold, and each further argument NAME=PATH is a page to look
// at, NAME=PATH=yes one whose question is answered with yes, NAME=PATH=order a form for a token,
// NAME=PATH=roll the form of a roll-over. With "cards" a price card is made of the blank card in the only
// reader and made blank again.
// Not here: what the API answers (tests/e2e/tests/api.rs), money against the meter (crash.rs).

import { chromium } from "playwright-core";
import path from "node:path";

const [url, operator, password, customer, folder, ...pages] = process.argv.slice(2);
const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 360, height: 740 };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const page = await browser.newPage({ viewport: DESKTOP });
page.setDefaultTimeout(20_000);
const complaints = [];
page.on("console", (message) => {
  if (message.type() === "error") complaints.push(`console: ${message.text()}`);
});
page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));

async function look(name) {
  for (const [width, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    await page.setViewportSize(viewport);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    if (overflow > 0) complaints.push(`${name} at ${width} width scrolls sideways by ${overflow} px`);
    await page.screenshot({ path: path.join(folder, `${name}-${width}.png`), fullPage: true });
  }
  await page.setViewportSize(DESKTOP);
}

function expect(condition, what) {
  if (!condition) complaints.push(`not so: ${what}`);
}

// A path may have a query with "=" in it.
function named(page) {
  const [, name, at, does] = page.match(/^([^=]*)=(.*?)(?:=(yes|order|roll))?$/);
  return [name, at, does];
}

async function lookAt(pages) {
  for (const [name, at, does] of pages) {
    await page.goto(new URL(at, url).href);
    await look(name);
    const yes = page.getByRole("button", { name: /^Yes/ });
    if (does === "yes") {
      await yes.click();
      await yes.waitFor({ state: "detached" });
      await look(`${name}-done`);
    }
    if (does === "order") {
      // By keyboard alone: the first field has the focus.
      await page.keyboard.type("6000");
      await page.keyboard.press("Tab");
      await page.keyboard.type("new contract");
      await page.keyboard.press("Enter");
      const digits = page.locator(".big-word");
      await digits.waitFor();
      expect(/^(\d{4} ){4}\d{4}$/.test(await digits.innerText()), "the digits are grouped");
      await look(`${name}-done`);
      await page.keyboard.press("Enter");
      await page.locator(".paper").waitFor();
      await look(`${name}-paper`);
    }
    if (does === "roll") {
      // What it would do is shown first, and asks for a yes, which has the focus.
      await page.locator("#reason").fill("TID roll-over");
      await page.keyboard.press("Enter");
      await yes.waitFor();
      await look(`${name}-preview`);
      await yes.press("Enter");
      await page.waitForURL(/token-rollovers\/./);
      await look(`${name}-done`);
    }
  }
}

// A parameter that lives in the meter: typed, written, read back, shown.
async function setInTheMeter() {
  const form = page.locator(".settings form").filter({ has: page.locator("#p-alarm-1") });
  await page.locator("#p-alarm-1").fill("21.50");
  await form.getByRole("button", { name: /^Set/ }).click();
  const known = page.locator(".settings li").filter({ has: page.locator("#p-alarm-1") }).locator(".known");
  await known.filter({ hasText: "Written and read back" }).waitFor();
  expect((await known.innerText()).includes("21.50 CNY"), "the meter is shown to hold 21.50 CNY");
  await page.locator("#parameters summary").click();
  await look("settings");
}

// The form follows the vendor chosen, and the server has a sentence for a field that is wrong.
async function addWrongly() {
  await page.goto(new URL("/meters/new", url).href);
  await page.locator("#vendor").selectOption("ACREL");
  await page.locator("#p-read-back-tries").waitFor();
  expect(await page.locator("#p-wake-up").count() === 0, "parameters of the other vendor are gone");
  await page.locator("#vendor").selectOption("DLT645");
  await page.locator("#p-wake-up").waitFor();
  for (const [field, text] of [["serial_number", "X-1"], ["address", "9"], ["p-wake-up", "99"]]) {
    await page.locator(`#${field}`).fill(text);
  }
  // What the browser would not send, a program would.
  await page.locator("form", { has: page.locator("#serial_number") }).evaluate((form) => { form.noValidate = true; });
  await page.getByRole("button", { name: "Add", exact: true }).click();
  const problem = page.locator(".field-problem");
  await problem.waitFor();
  expect((await problem.innerText()).includes("from 0 to 16"), "the field says what it must be");
  expect(await page.locator("#serial_number").inputValue() === "X-1", "what was typed is still there");
  await look("new-meter-wrong");
}

// A clerk writes a plan, tries it, changes its prices, gives it to the meter, and sees how a sale was
// calculated.
async function changeTariff(meter) {
  await page.goto(new URL("/tariffs", url).href);
  await look("tariffs");
  await page.getByRole("link", { name: /Add a plan/ }).click();
  await look("tariff-form");
  const name = `Homes ${customer}`;
  await page.locator("#name").fill(name);
  await page.locator("#steps").selectOption("yearly");
  for (const [field, text] of [["to-1", "60"], ["price-1", "0.50"], ["price-2", "1.00"], ["used-flat", "100"], ["paid", "50"]]) {
    await page.locator(`[name="${field}"]`).fill(text);
  }
  await page.getByRole("button", { name: /^Try/ }).click();
  await page.locator("#tried").waitFor();
  const tried = await page.locator("#tried").innerText();
  // 60 kWh for 30.00 and 40 for 40.00; 50.00 buys 60 and 20.
  for (const words of ["70.00", "80.000 kWh", "price beyond: 1.00"]) {
    expect(tried.includes(words), `the trial shows ${words}`);
  }
  await look("tariff-tried");
  await page.getByRole("button", { name: "Add this plan" }).click();
  await page.getByRole("heading", { name }).waitFor();

  await page.getByRole("link", { name: /New version/ }).click();
  expect(await page.locator('[name="price-2"]').inputValue() === "1.00", "the form has the prices of the last version");
  await page.locator('[name="price-2"]').fill("nonsense");
  await page.getByRole("button", { name: "Add the version" }).click();
  await page.locator(".note-bad").waitFor();
  expect((await page.locator(".note-bad").innerText()).includes("`nonsense` is not a price"), "the parser says what is wrong");
  await look("tariff-wrong");
  await page.locator('[name="price-2"]').fill("2.00");
  await page.getByRole("button", { name: "Add the version" }).click();
  await page.getByRole("heading", { name: "Version 2" }).waitFor();
  await look("tariff");

  await page.goto(meter);
  await page.getByRole("link", { name: "Change the tariff" }).click();
  await page.locator("#plan").selectOption({ label: `${name} · 0.50 to 2.00 CNY/kWh` });
  await look("meter-tariff");
  await page.getByRole("button", { name: "Change", exact: true }).click();
  await page.getByRole("heading", { name: "Sell" }).waitFor();
  await page.locator("#paid").fill("50.00");
  await page.locator("#preview strong").waitFor();
  // 96.153 kWh were bought in this year already, so all of it is in the second step.
  expect((await page.locator("#preview").innerText()).includes("25.000 kWh"), "50.00 at 2.00 buys 25.000 kWh");
  await page.locator("#preview summary").click();
  await look("preview-steps");
}

// One row at the counter's width; the rest is in two groups, opened from the keyboard without a script.
async function openMenu() {
  const rows = await page.evaluate(() => new Set([...document.querySelectorAll(".menu > *")].map((entry) => Math.round(entry.getBoundingClientRect().top))).size);
  expect(rows === 1, `the menu has one row at ${DESKTOP.width} px, not ${rows}`);
  const office = page.locator(".menu-group summary", { hasText: "Office" });
  const billing = page.locator(".menu-group summary", { hasText: "Billing" });
  await billing.press("Enter");
  await page.getByRole("link", { name: /^Tariffs/ }).waitFor();
  await office.press("Enter");
  await page.getByRole("link", { name: /^Ledger/ }).waitFor();
  expect(!(await page.getByRole("link", { name: /^Tariffs/ }).isVisible()), "one group closes the other");
  await look("menu");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /^Trial balance/ }).waitFor();
}

async function sell() {
  // By keyboard alone from here to the confirmed sale: the search box has the focus.
  await page.keyboard.type(customer);
  const hit = page.locator("#results a.hit");
  await hit.first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll("#results a.hit").length === 1);
  await look("found");
  await hit.first().click();
  await page.getByRole("heading", { name: "Sell" }).waitFor();
  await page.getByRole("button", { name: "Read now" }).click();
  await page.locator("#reading table").first().waitFor();
  expect((await page.locator("#reading").innerText()).includes("kWh"), "the reading shows kWh");
  await look("meter");

  await page.locator("#paid").fill("50.00");
  await page.locator("#preview strong").waitFor();
  expect((await page.locator("#preview").innerText()).includes("96.153"), "50.00 at 0.52 buys 96.153 kWh");
  await look("preview");
  await page.locator("#paid").press("Enter");
  await page.getByRole("button", { name: /^Sell 50\.00/ }).waitFor();
  await look("confirm");
  await page.keyboard.press("Enter");
  await page.locator(".big-word", { hasText: "Confirmed" }).waitFor();
  const sale = await page.locator("main").innerText();
  for (const word of ["Reserved", "Sent to the meter", "cash", "meter credit", "50.00"]) {
    expect(sale.toLowerCase().includes(word.toLowerCase()), `the sale's page shows ${word}`);
  }
  await look("sale");

  await page.getByRole("link", { name: "How it was calculated" }).click();
  await page.locator(".note-good").waitFor();
  const explained = await page.locator("main").innerText();
  for (const words of ["96.153 kWh", "0.52", "50.00 CNY", "price 0.52", "复算一致"]) {
    expect(explained.includes(words), `the explanation shows ${words}`);
  }
  await look("explanation");
  await page.getByRole("link", { name: "Back to the sale" }).click();

  await page.getByRole("link", { name: "To the meter" }).click();
  const meter = page.url();
  const sell = page.locator("section", { hasText: "Last conversations" }).locator("tr", { hasText: "sell" });
  await sell.first().getByRole("link").click();
  await page.getByRole("heading", { name: "Step by step" }).waitFor();
  const told = await page.locator("main").innerText();
  for (const word of ["Answered", "to the meter", "from the meter", "confirmed count=1", "source: recorded"]) {
    expect(told.toLowerCase().includes(word.toLowerCase()), `the conversation shows ${word}`);
  }
  expect(await page.locator(".step-fields").count() > 0, "the driver explains a frame");
  await look("conversation");
  await page.getByRole("link", { name: "To the meter" }).click();
  await page.getByRole("link", { name: /Disconnect/ }).click();
  await look("supply");
  await page.getByRole("button", { name: /^Yes/ }).click();
  await page.locator(".supply-now", { hasText: "Disconnected" }).waitFor();
  await look("tripped");
  await page.getByRole("link", { name: /^Connect/ }).click();
  await page.getByRole("button", { name: /^Yes/ }).click();
  await page.locator(".supply-now", { hasText: "Connected" }).waitFor();

  await changeTariff(meter);
  await page.goto(meter);
  await setInTheMeter();
  await addWrongly();
  await page.goto(url);
  await openMenu();
  const books = await page.locator("main").innerText();
  expect(books.includes("0.00"), "the trial balance is zero");
  expect(!/[0-9a-f]{8}-[0-9a-f]{4}-/.test(books), "accounts are named by people's numbers");
  await look("ledger");
  await lookAt([["customers", "/customers"], ["meters", "/meters"], ["new-meter", "/meters/new"], ["new-customer", "/customers/new"], ["system", "/system"], ["drivers", "/drivers"], ["driver", "/drivers/dlt645-2007"], ["driver-reload", "/drivers-reload"], ["acts", "/acts"], ["act-new", "/acts/new"], ["shifts", "/shifts"], ["receipts", "/receipts"], ["billing", "/billing"], ["operators", "/operators"], ["operator-new", "/operators/new"], ["applications", "/applications"], ["application-new", "/applications/new"], ["closings", "/closings"], ["audit", "/audit"], ["day-closes", "/day-closes"]]);
}

// By keyboard alone: the panel's own key, then what the form asks for.
async function makeAndRecycle() {
  const card = page.locator("#readers .reader");
  await card.filter({ hasText: "Blank card" }).waitFor();
  await look("blank");
  await page.keyboard.press("F4");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /^Reader .* Make a maintenance card/ }).waitFor();
  await look("choose");
  await page.getByRole("link", { name: /^Price card/ }).press("Enter");
  await page.locator("#p-price-flat").fill("9");
  await page.locator("#reason").fill("dearer from today");
  await page.locator("form", { has: page.locator("#reason") }).evaluate((form) => { form.noValidate = true; });
  await page.keyboard.press("F9");
  const problem = page.locator(".field-problem");
  await problem.waitFor();
  expect((await problem.innerText()).includes("from 0 to 6"), "the field says what it must be");
  expect(await page.locator("#reason").inputValue() === "dearer from today", "what was typed is still there");
  await look("wrong");
  await page.locator("#p-price-flat").fill("0.8");
  await page.keyboard.press("F9");
  await page.locator(".big-word", { hasText: "Made" }).waitFor();
  await look("made");
  await page.goto(new URL("/maintenance-cards", url).href);
  await look("list");
  await page.goto(url);
  await card.filter({ hasText: "Maintenance card" }).waitFor();
  expect((await card.innerText()).includes("0.8000"), "the panel shows what the card carries");
  await look("maintenance");
  await page.keyboard.press("F4");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /Make the card blank/ }).waitFor();
  await page.keyboard.type("no longer needed");
  await look("recycle");
  await page.keyboard.press("Enter");
  await card.filter({ hasText: "Blank card" }).waitFor();
}

try {
  await page.goto(url);
  await page.waitForURL("**/login");
  await look("login");
  await page.getByLabel("Name").fill(operator);
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL((at) => at.pathname === "/");
  await look("start");

  await (customer === "-" ? lookAt(pages.map(named)) : customer === "cards" ? makeAndRecycle() : sell());
} catch (error) {
  complaints.push(`${error.message} (at ${page.url()})`);
  await page.screenshot({ path: path.join(folder, "failed.png"), fullPage: true });
}
await browser.close();
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length === 0 ? 0 : 1);
