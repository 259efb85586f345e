import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    globalSetup: ['test/tables/completeness.ts'],
    setupFiles: ['test/tables/setup.ts'],
    pool: 'forks', // process.umask and kernel locks are per process
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
});
