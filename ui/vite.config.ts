// How the page is built and tested. The base is relative because the shell serves it from its own protocol.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { svelteTesting } from "@testing-library/svelte/vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./",
  plugins: [svelte(), svelteTesting()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // What WebKitGTK 2.40 and the webviews of macOS 13 understand.
    target: ["safari16.4", "chrome111"],
    // The content security policy allows no data: URLs for scripts and workers.
    assetsInlineLimit: 0,
  },
  worker: { format: "es" },
  server: { port: 5173, strictPort: true },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.ts"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
    // A machine that is busy is slow; nothing here waits for a time.
    testTimeout: 60_000,
  },
});
