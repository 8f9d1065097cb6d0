import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    exclude: ["node_modules/**", ".courtside/**", ".tools/**"],
    // Tests start real servers; on a shared two-core machine a start can take seconds.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
