// What a person can do in the console, done in a real browser against the real server.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Demo, openBrowser, Visitor } from "./demo";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const INCIDENT = "/incidents/inc-7c1e9a40";
// A guessed password that ended in mining, and a Redis that did not.
const GUESSED = "/incidents/inc-3f2a81c0";
const REDIS = "/incidents/inc-b7d4e652";
const PAGES = ["/", "/incidents", GUESSED, REDIS, INCIDENT];

let demo: Demo;
let browser: Browser;
let link: string;
let origin: string;

beforeAll(async () => {
  demo = Demo.start();
  browser = await openBrowser();
  link = await demo.firstLink();
  origin = new URL(link).origin;
});

afterAll(async () => {
  await browser.close();
  await demo.stop();
});

async function go(page: Page, path: string): Promise<void> {
  await page.goto(origin + path);
  await page.locator("h1").first().waitFor();
  await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
}

describe("login", () => {
  it("is asked for on every page, and leads back to it", async () => {
    const visitor = await Visitor.arrive(browser);
    const { page } = visitor;
    for (const path of PAGES) {
      await page.goto(origin + path);
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      expect(new URL(page.url()).pathname).toBe("/login");
    }
    await page.getByLabel("One-time token or link").fill(await demo.newLink());
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Why we think so" }).waitFor();
    expect(new URL(page.url()).pathname).toBe(INCIDENT);
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("takes a link once; the token leaves the address bar", async () => {
    const first = await Visitor.arrive(browser);
    await first.login(demo, link);
    expect(first.page.url()).toBe(`${origin}/`);
    const second = await Visitor.arrive(browser);
    await second.page.goto(link);
    await second.page.getByText("This link is used up").waitFor();
    expect(second.page.url()).toBe(`${origin}/login`);
    await second.page.goto(`${origin}/`);
    await second.page.getByRole("heading", { name: "Log in" }).waitFor();
    await first.leave();
    await second.leave();
  });

  it("ends with logging out, and a lost session leads back to the login page", async () => {
    const visitor = await Visitor.arrive(browser);
    const { page } = visitor;
    await page.goto(await demo.newLink());
    await page.locator(".band").waitFor();
    const other = await visitor.context.newPage();
    await other.goto(`${origin}/incidents?state=open`);
    await other.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("You are logged out.").waitFor();
    // The other tab is told by its event stream, without a click.
    await other.getByText("Your session has ended").waitFor();
    await other.close();
    await page.goto(`${origin}/`);
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.goto(await demo.newLink());
    await page.getByRole("link", { name: "Incidents" }).click();
    await visitor.context.clearCookies();
    await page.getByRole("searchbox").fill("kswapd0");
    await page.getByText("Your session has ended").waitFor();
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });
});

describe("the overview", () => {
  it("says in one sentence that it mines, how sure, since when and at what cost", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    const sentence = await page.locator(".band h1").innerText();
    expect(await page.title()).toBe("(1) web-01 – Minesweep");
    expect(sentence).toMatch(/^1 process is mining on web-01 – > 99 % sure – since .*\d\d:\d\d – costs \d+\.\d\d USD a day$/);
    const card = page.locator(".mining").first();
    for (const words of ["/tmp/.x/kswapd0", "48213", "xmr.pool.example:3333", "rx/0", "3.9 kH/s"]) {
      await card.getByText(words, { exact: true }).waitFor();
    }
    await page.getByText("2 blind spots on this machine").waitFor();
    await page.locator(".chart svg").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    expect(visitor.errors).toEqual([]);
    // No font, script or picture from anywhere else.
    expect([...visitor.hosts]).toEqual([new URL(origin).host]);
    await visitor.leave();
  });

  it("filters detections by severity", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    const rows = page.locator(".detections tbody tr");
    await page.locator(".detections").getByText("mining.steady-cpu").waitFor();
    const before = await rows.count();
    await page.locator(".detections").getByText("High+", { exact: true }).click();
    await page.locator(".detections").getByText("mining.steady-cpu").waitFor({ state: "detached" });
    expect(await rows.count()).toBeLessThan(before);
    expect(await rows.count()).toBeGreaterThan(0);
    await visitor.leave();
  });

  it("shows a new report without a reload", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    await page.getByText("Live", { exact: true }).waitFor();
    await page.evaluate(() => Object.assign(window, { sameDocument: true }));
    const incident = await page.evaluate(async (uid) => (await fetch(`/api/incidents/${uid}`)).json(), "inc-7c1e9a40");
    const fresh = structuredClone(incident);
    Object.assign(fresh, { uid: "inc-fresh", opened_ms: Date.now(), since_ms: Date.now(), changed_ms: Date.now() });
    Object.assign(fresh.root, { exe: "/var/tmp/.fresh/dbus-worker", key: { pid: 50_001, start_ticks: 5 } });
    fresh.processes = [fresh.root.key];
    fresh.title = { en: "dbus-worker (50001) mines", zh: "dbus-worker（50001）正在挖矿" };
    demo.push({ type: "incident", change: "created", incident: fresh });
    await page.getByText("2 processes are mining on web-01").waitFor();
    await page.locator(".mining").getByText("/var/tmp/.fresh/dbus-worker").waitFor();
    expect(await page.evaluate(() => "sameDocument" in window)).toBe(true);

    // And when it ends, also on its own open page.
    await page.locator(".mining", { hasText: "dbus-worker" }).getByRole("link").click();
    await page.locator(".band").getByText("Going on").waitFor();
    demo.push({ type: "incident", change: "closed", incident: { ...fresh, state: "closed", changed_ms: Date.now() } });
    await page.locator(".band").getByText("Ended").waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByText("1 process is mining on web-01").waitFor();
    expect(await page.evaluate(() => "sameDocument" in window)).toBe(true);
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("shows hostile names as text", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    let dialogs = 0;
    page.on("dialog", (dialog) => {
      dialogs += 1;
      void dialog.dismiss();
    });
    const listed = await page.evaluate(async () => (await fetch("/api/detections?limit=1")).json());
    const hostile = structuredClone(listed.items[0]);
    const name = '/tmp/<img src=x onerror=alert(1)>\u202egpj.exe\u001b[31m';
    Object.assign(hostile, { uid: "hostile", at_ms: Date.now(), incident: null, rule: "<script>alert(2)</script>" });
    hostile.subject = { key: { pid: 6666, start_ticks: 1 }, parent_pid: 1, uid: 0, exe: name, comm: name, argv: ["x".repeat(4096)], started_ms: 1 };
    hostile.why = { en: `${"long ".repeat(400)}<b id=hostile>`, zh: "" };
    demo.push({ type: "detection", ...hostile });
    await page.getByText("/tmp/<img src=x onerror=alert(1)>\\u{202e}gpj.exe\\x1b[31m").waitFor();
    expect(await page.locator(".detections img, .detections script, #hostile").count()).toBe(0);
    expect(dialogs).toBe(0);
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("says that nothing mines when nothing does", async () => {
    const empty = Demo.start("--empty");
    const visitor = await Visitor.arrive(browser);
    await visitor.page.goto(await empty.firstLink());
    await visitor.page.getByRole("heading", { name: "No mining on web-01" }).waitFor();
    await visitor.page.getByText("Nothing is mining").waitFor();
    await visitor.page.getByText("No detections").waitFor();
    expect(visitor.errors).toEqual([]);
    // The server goes away: said, not hidden.
    await empty.stop();
    await visitor.page.getByText("Reconnecting").waitFor();
    await visitor.leave();
  });
});

describe("incidents", () => {
  it("are found by state and by words, and the view has an address", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    await page.getByRole("link", { name: "Incidents" }).click();
    await page.getByText("app-worker (21877)").waitFor();
    await page.locator(".filters").getByText("Contained", { exact: true }).click();
    await page.getByText("2 incidents shown").waitFor();
    expect(page.url()).toBe(`${origin}/incidents?state=contained`);
    await page.locator(".filters").getByText("Intrusion", { exact: true }).click();
    await page.getByText("1 incident shown").waitFor();
    expect(page.url()).toBe(`${origin}/incidents?state=contained&about=intrusion`);
    await page.getByRole("searchbox").fill("nothing of the kind");
    await page.getByText("Nothing matches").waitFor();
    await page.getByRole("button", { name: "Clear search and filter" }).click();
    await page.getByRole("searchbox").fill("xmr.pool.example");
    await page.waitForURL(`${origin}/incidents?q=xmr.pool.example`);
    await page.getByRole("link", { name: /kswapd0 \(48213\) mines/ }).waitFor();
    await page.getByText("app-worker (21877)").waitFor({ state: "detached" });
    await page.reload();
    await page.getByRole("link", { name: /kswapd0 \(48213\) mines/ }).waitFor();
    // The link in the navigation shows everything again.
    await page.getByRole("link", { name: "Incidents" }).click();
    await page.getByText("app-worker (21877)").waitFor();
    expect(await page.getByRole("searchbox").inputValue()).toBe("");
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("tell what they rest on, what was done, and give their raw data", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    await go(page, INCIDENT);
    await page.getByRole("img", { name: "Protocol, removes 95 % of the doubt" }).waitFor();
    await page.getByText("= 0.0008, so > 99 % sure").waitFor();
    await page.getByText("/bin/dash", { exact: true }).waitFor();
    await page.getByText("Raw data (JSON)").click();
    await page.locator("pre").getByText('"uid": "inc-7c1e9a40"').waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    expect(file.suggestedFilename()).toBe("incident-inc-7c1e9a40.json");
    await go(page, "/incidents/inc-51b07d2f");
    await page.locator(".outcomes").getByText("Froze app-worker (21877)").waitFor();
    await go(page, "/incidents/no-such");
    await page.getByText("This incident is not here").first().waitFor();
    await go(page, "/no-such-page");
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });
});

describe("an intrusion", () => {
  it("without mining has a card, a sentence and no money", async () => {
    const entered = Demo.start("--empty");
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    const card = page.locator(".intrusion");
    for (const words of ["192.0.2.44", "A service wrote a cron file", "/usr/bin/redis-server"]) {
      await card.getByText(words, { exact: true }).waitFor();
    }
    expect(await card.locator(".stage-words").innerText()).toBe(
      "Initial Access → Execution → Persistence → Discovery → Command and Control",
    );
    await page.getByText("1 intrusion without mining is open besides").waitFor();
    await entered.firstLink();
    await entered.pushFrom(page, "inc-b7d4e652");

    const other = await Visitor.arrive(browser);
    await other.login(entered);
    await other.page.getByRole("heading", { name: "An intrusion is under way on web-01" }).waitFor();
    expect(await other.page.title()).toBe("(1) web-01 – Minesweep");
    await other.page.locator(".now .nothing").waitFor({ state: "detached" });
    await other.page.getByRole("link", { name: "See why and what to do" }).click();
    await other.page.locator(".entry").getByText("192.0.2.44", { exact: true }).waitFor();
    for (const heading of ["How far it came", "What happened", "What to do", "Addresses", "Processes"]) {
      await other.page.getByRole("heading", { name: heading }).waitFor();
    }
    for (const heading of ["Money", "Where it goes", "Why we think so"]) {
      expect(await other.page.getByRole("heading", { name: heading }).count(), heading).toBe(0);
    }

    // A person says that it is dealt with; until then it is open.
    await other.page.getByRole("button", { name: "Close incident" }).click();
    await other.page.getByRole("button", { name: "Not yet" }).click();
    await other.page.getByRole("button", { name: "Close incident" }).click();
    await other.page.getByRole("button", { name: "Close it" }).click();
    await other.page.locator(".band").getByText("Ended", { exact: true }).waitFor();
    expect(await other.page.getByRole("button", { name: "Close incident" }).count()).toBe(0);
    await other.page.getByRole("link", { name: "Overview" }).click();
    await other.page.getByRole("heading", { name: "No mining on web-01" }).waitFor();
    expect([...visitor.errors, ...other.errors]).toEqual([]);
    await visitor.leave();
    await other.leave();
    await entered.stop();
  });

  it("is told step by step, with what was stopped, up to the miner it ended in", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    await go(page, GUESSED);
    await page.locator(".entry").getByText("203.0.113.57", { exact: true }).waitFor();
    expect(await page.locator(".moment .moment-head b").allInnerTexts()).toEqual([
      "A password was guessed",
      "A shell of root by sudo",
      "A download was run at once",
      "A cron line runs a file from a temporary folder",
      "A library is loaded into every program",
      "The command history was wiped",
      "It speaks a mining protocol",
    ]);
    const first = page.locator(".moment").first();
    await first.getByText("Way in").waitFor();
    await first.getByText("T1110.001 Password Guessing").waitFor();
    await page.locator(".stage", { hasText: "Impact" }).getByText("1 stopped").waitFor();
    await page.getByRole("heading", { name: "Money" }).waitFor();
    await page.getByRole("heading", { name: "Why we think so" }).waitFor();
    // Advice leads to the step that it is about.
    await page.getByRole("link", { name: "A library is loaded into every program" }).click();
    await page.getByRole("button", { name: "中文" }).click();
    await page.locator(".stage", { hasText: "防御规避" }).getByText("1 步已阻止").waitFor();
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("is found by where it came from", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    await go(page, "/incidents?about=intrusion&q=192.0.2.44");
    await page.getByText("1 incident shown").waitFor();
    const row = page.locator("tbody tr");
    await row.getByText("Open", { exact: true }).waitFor();
    expect(await row.innerText()).not.toMatch(/USD|%/);
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });
});

describe("the look", () => {
  it("follows the browser, can be switched, and is remembered", async () => {
    const visitor = await Visitor.arrive(browser, { lang: "zh", theme: "dark" });
    const page = await visitor.login(demo);
    await page.getByText("web-01 上有 1 个进程正在挖矿").waitFor();
    expect(await page.locator("html").getAttribute("theme-mode")).toBe("dark");
    await page.getByRole("button", { name: "切换到浅色" }).click();
    await page.getByRole("button", { name: "English" }).click();
    await page.getByText("1 process is mining on web-01").waitFor();
    await page.reload();
    await page.getByText("1 process is mining on web-01").waitFor();
    expect(await page.locator("html").getAttribute("theme-mode")).toBe("light");
    expect(await page.locator("html").getAttribute("lang")).toBe("en");
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("fits 390 and 2560 pixels without scrolling sideways", async () => {
    for (const width of [390, 2560]) {
      const visitor = await Visitor.arrive(browser, { width });
      const page = await visitor.login(demo);
      for (const path of PAGES) {
        await go(page, path);
        const { scrollWidth, clientWidth } = await page.evaluate(() => {
          const root = document.documentElement;
          return { scrollWidth: root.scrollWidth, clientWidth: root.clientWidth };
        });
        expect(scrollWidth, `${path} at ${width}`).toBeLessThanOrEqual(clientWidth);
      }
      expect(visitor.errors).toEqual([]);
      await visitor.leave();
    }
  });

  it("has a menu on a phone", async () => {
    const visitor = await Visitor.arrive(browser, { width: 390 });
    const page = await visitor.login(demo);
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("link", { name: "Incidents" }).click();
    await page.getByText("app-worker (21877)").waitFor();
    expect(visitor.errors).toEqual([]);
    await visitor.leave();
  });

  it("can be used with the keyboard alone", async () => {
    const visitor = await Visitor.arrive(browser);
    const page = await visitor.login(demo);
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to the content");
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    for (let presses = 0; (await focused()) !== "Incidents"; presses += 1) {
      expect(presses).toBeLessThan(10);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByText("app-worker (21877)").waitFor();
    for (let presses = 0; !(await focused()).includes("app-worker (21877)"); presses += 1) {
      expect(presses).toBeLessThan(30);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByText("Froze app-worker (21877)").first().waitFor();
    await visitor.leave();
  });

  it("has no serious accessibility fault in either theme", async () => {
    for (const theme of ["light", "dark"] as const) {
      for (const width of [1440, 390]) {
        const visitor = await Visitor.arrive(browser, { theme, width });
        const { page } = visitor;
        await page.goto(`${origin}/login`);
        await page.getByRole("heading", { name: "Log in" }).waitFor();
        const faults = await serious(page, "/login");
        await visitor.login(demo);
        for (const path of PAGES) {
          await go(page, path);
          faults.push(...(await serious(page, path)));
        }
        expect(faults, `${theme} ${width}`).toEqual([]);
        await visitor.leave();
      }
    }
  });
});

async function serious(page: Page, path: string): Promise<string[]> {
  // Evaluated, not added as a script: the content policy refuses inline scripts, as it should.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
  return found.violations
    .filter((fault) => fault.impact === "serious" || fault.impact === "critical")
    .map((fault) => `${path}: ${fault.id}: ${fault.nodes.map((node) => `${node.html.slice(0, 200)} ${node.any[0]?.message ?? ""}`).slice(0, 3).join(" | ")}`);
}
