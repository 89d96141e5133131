// How the console is built and unit-tested. Nothing inline, so that the server's content policy needs no exception
// for scripts; charts in a piece of their own, fetched only by the page that draws one.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` shows the console of a running server: MINESWEEP_URL=https://127.0.0.1:8443 npm run dev
const server = process.env.MINESWEEP_URL ?? "https://127.0.0.1:8443";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // echarts with the parts we use; it is only fetched by a page with a chart.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": { target: server, secure: false, changeOrigin: true } } },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test-setup.ts"],
    server: { deps: { inline: ["tdesign-react", "tdesign-icons-react"] } },
  },
});
