// Starts the server with made-up reports, and the browser that looks at it. Both end with the test.
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import readline from "node:readline";
import { type Browser, type BrowserContext, chromium, type Cookie, type Page } from "playwright-core";

const ROOT = path.resolve(import.meta.dirname, "../..");
const CARGO = ["cargo", "run", "-q", "-p", "minesweep-server", "--example", "console_demo", "--"];

export class Demo {
  private readonly waiting: { resolve: (link: string) => void; reject: (why: Error) => void }[] = [];
  private readonly links: string[] = [];
  private ended: Error | undefined;
  // The session that visitors share: the server takes five logins a minute. Its id changes as it is used.
  cookies: Cookie[] = [];
  origin = "";

  private constructor(private readonly child: ChildProcess) {
    readline.createInterface({ input: child.stdout! }).on("line", (line) => {
      const link = /^console: (\S+)$/.exec(line)?.[1];
      if (link === undefined) return;
      const next = this.waiting.shift();
      if (next === undefined) this.links.push(link);
      else next.resolve(link);
    });
    child.stderr!.on("data", (text: Buffer) => process.stderr.write(text));
    child.once("exit", (code) => {
      this.ended = new Error(`console_demo ended with ${code}`);
      for (const { reject } of this.waiting.splice(0)) reject(this.ended);
    });
  }

  static start(...options: string[]): Demo {
    const [program = "", ...words] = process.env.MINESWEEP_DEMO === undefined ? CARGO : [process.env.MINESWEEP_DEMO];
    return new Demo(spawn(program, [...words, ...options], { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] }));
  }

  // The next link that was printed and not yet taken.
  private link(): Promise<string> {
    const ready = this.links.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.ended !== undefined) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  // The link that was printed first; it also tells where the server is.
  async firstLink(): Promise<string> {
    const link = await this.link();
    this.origin = new URL(link).origin;
    return link;
  }

  newLink(): Promise<string> {
    this.child.stdin!.write("login\n");
    return this.link();
  }

  push(report: unknown): void {
    this.child.stdin!.write(`${JSON.stringify(report)}\n`);
  }

  // An incident of another demo, as the agent would tell it.
  async pushFrom(page: Page, uid: string): Promise<void> {
    const incident: unknown = await page.evaluate(async (uid) => (await fetch(`/api/incidents/${uid}`)).json(), uid);
    this.push({ type: "incident", change: "created", incident });
  }

  // The server ends when its stdin does.
  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.ended !== undefined) return resolve();
      this.child.once("exit", () => resolve());
      this.child.stdin!.end();
    });
  }
}

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });

export interface Look {
  width?: number;
  height?: number;
  lang?: "en" | "zh";
  theme?: "light" | "dark";
}

// A person's browser: what it complained about and whom it asked is kept.
export class Visitor {
  readonly errors: string[] = [];
  readonly hosts = new Set<string>();
  private demo: Demo | undefined;

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on("console", (message) => {
      // The browser itself notes each refused request; refusals are what some tests are about.
      if (message.type() === "error" && !/status of 40[1349]/.test(message.text())) this.errors.push(message.text());
      if (message.type() === "warning") this.errors.push(message.text());
    });
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("request", (request) => this.hosts.add(new URL(request.url()).host));
  }

  static async arrive(browser: Browser, look: Look = {}): Promise<Visitor> {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: look.width ?? 1440, height: look.height ?? 900 },
      locale: look.lang === "zh" ? "zh-CN" : "en-US",
      colorScheme: look.theme ?? "light",
      reducedMotion: "reduce",
    });
    return new Visitor(context, await context.newPage());
  }

  // Logs in, by link when one is given or nobody is in yet, and waits for the sentence.
  async login(demo: Demo, link?: string): Promise<Page> {
    this.demo = demo;
    const isIn = link === undefined && demo.cookies.length > 0;
    if (isIn) await this.context.addCookies(demo.cookies);
    await this.page.goto(isIn ? `${demo.origin}/` : (link ?? (await demo.newLink())));
    await this.page.locator(".band").waitFor();
    return this.page;
  }

  async leave(): Promise<void> {
    const cookies = await this.context.cookies();
    if (this.demo !== undefined && cookies.length > 0) this.demo.cookies = cookies;
    await this.context.close();
  }
}
