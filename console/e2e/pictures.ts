// Makes the pictures of the guide: `npm run pictures`. With MINESWEEP_PICTURES set to a folder, every page in every
// look goes there instead, to be looked at.
import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, it } from "vitest";
import { Demo, type Look, openBrowser, Visitor } from "./demo";

const GUIDE = path.resolve(import.meta.dirname, "../../docs/guide/images");
const ASKED = process.env.MINESWEEP_PICTURES ?? "";
const INCIDENT = "/incidents/inc-7c1e9a40";
const GUESSED = "/incidents/inc-3f2a81c0";
const REDIS = "/incidents/inc-b7d4e652";

let demo: Demo;
let empty: Demo;
// Nothing but an intrusion without mining.
let entered: Demo;
let browser: Browser;

beforeAll(async () => {
  demo = Demo.start();
  empty = Demo.start("--empty");
  entered = Demo.start("--empty");
  browser = await openBrowser();
  await Promise.all([demo.firstLink(), empty.firstLink(), entered.firstLink()]);
  const visitor = await Visitor.arrive(browser);
  await entered.pushFrom(await visitor.login(demo), "inc-b7d4e652");
  await visitor.leave();
});

afterAll(async () => {
  await browser.close();
  await Promise.all([demo.stop(), empty.stop(), entered.stop()]);
});

async function picture(from: Demo, at: string, look: Look, file: string, whole: boolean): Promise<void> {
  const visitor = await Visitor.arrive(browser, look);
  const page = await visitor.login(from);
  if (at !== "/") await page.goto(new URL(at, page.url()).href);
  await page.locator("h1").first().waitFor();
  await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
  if (at === "/") await page.locator(".chart svg").waitFor();
  await page.screenshot({ path: file, fullPage: whole });
  await visitor.leave();
}

const GUIDE_PICTURES: [string, "empty" | "full", string, Look][] = [
  ["overview-en-light-1440", "full", "/", { width: 1440, height: 1000 }],
  ["overview-zh-dark-1440", "full", "/", { width: 1440, height: 1000, lang: "zh", theme: "dark" }],
  ["incident-en-light-1440", "full", INCIDENT, { width: 1440, height: 1100 }],
  ["intrusion-en-light-1440", "full", GUESSED, { width: 1440, height: 1100 }],
  ["overview-en-dark-390", "full", "/", { width: 390, height: 844, theme: "dark" }],
  ["empty", "empty", "/", { width: 1440, height: 900 }],
];

it.runIf(ASKED === "guide")("pictures of the guide", async () => {
  mkdirSync(GUIDE, { recursive: true });
  for (const [name, which, at, look] of GUIDE_PICTURES) {
    await picture(which === "empty" ? empty : demo, at, look, path.join(GUIDE, `${name}.png`), false);
  }
});

it.runIf(ASKED !== "guide")("every page in every look", { timeout: 600_000 }, async () => {
  mkdirSync(ASKED, { recursive: true });
  const pages = { overview: "/", incidents: "/incidents", incident: INCIDENT, contained: "/incidents/inc-51b07d2f", guessed: GUESSED, redis: REDIS };
  for (const theme of ["light", "dark"] as const) {
    for (const lang of ["en", "zh"] as const) {
      for (const width of [390, 1440, 2560]) {
        for (const [name, at] of Object.entries(pages)) {
          const file = path.join(ASKED, `${name}-${lang}-${theme}-${width}.png`);
          await picture(demo, at, { theme, lang, width }, file, true);
        }
        await picture(entered, "/", { theme, lang, width }, path.join(ASKED, `entered-${lang}-${theme}-${width}.png`), true);
        for (const [name, at] of [["empty", "/"], ["empty-list", "/incidents"]] as const) {
          await picture(empty, at, { theme, lang, width }, path.join(ASKED, `${name}-${lang}-${theme}-${width}.png`), true);
        }
      }
    }
  }
});
