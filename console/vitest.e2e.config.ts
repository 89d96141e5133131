// The console in a real browser, against the real server with made-up reports. Build both first:
// `npm run build && cargo build -p minesweep-server --example console_demo`, or let cargo run it (MINESWEEP_DEMO unset).
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: process.env.MINESWEEP_PICTURES === undefined ? ["e2e/*.e2e.ts"] : ["e2e/pictures.ts"],
    // A cold `cargo run` builds the server first.
    hookTimeout: 600_000,
    testTimeout: 60_000,
    fileParallelism: false,
  },
});
