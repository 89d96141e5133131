// Starts the server with made-up reports, and the browser that looks at it. Both end with the test.
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import readline from "node:readline";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const ROOT = path.resolve(import.meta.dirname, "../..");
const CARGO = ["cargo", "run", "-q", "-p", "minesweep-server", "--example", "console_demo", "--"];

export class Demo {
  private readonly waiting: ((link: string) => void)[] = [];
  private readonly links: string[] = [];

  private constructor(private readonly child: ChildProcess) {
    readline.createInterface({ input: child.stdout! }).on("line", (line) => {
      const link = /^console: (\S+)$/.exec(line)?.[1];
      if (link === undefined) return;
      const next = this.waiting.shift();
      if (next === undefined) this.links.push(link);
      else next(link);
    });
    child.stderr!.on("data", (text: Buffer) => process.stderr.write(text));
  }

  static start(...options: string[]): Demo {
    const [program = "", ...words] = process.env.MINESWEEP_DEMO === undefined ? CARGO : [process.env.MINESWEEP_DEMO];
    return new Demo(spawn(program, [...words, ...options], { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] }));
  }

  // The next link that was printed and not yet taken.
  private link(): Promise<string> {
    const ready = this.links.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve, reject) => {
      this.waiting.push(resolve);
      this.child.once("exit", (code) => reject(new Error(`console_demo ended with ${code}`)));
    });
  }

  firstLink(): Promise<string> {
    return this.link();
  }

  newLink(): Promise<string> {
    this.child.stdin!.write("login\n");
    return this.link();
  }

  push(report: unknown): void {
    this.child.stdin!.write(`${JSON.stringify(report)}\n`);
  }

  // The server ends when its stdin does.
  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null) return resolve();
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

  // Logs in and waits for the sentence.
  async login(demo: Demo): Promise<Page> {
    await this.page.goto(await demo.newLink());
    await this.page.locator("h1").first().waitFor();
    await this.page.locator(".band").waitFor();
    return this.page;
  }

  leave(): Promise<void> {
    return this.context.close();
  }
}
