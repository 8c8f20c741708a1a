import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * For `npm run mutation` alone: the unit suites of the folders that are mutated, on one Azurite for all runs. A suite
 * that starts one gets that one, emptied.
 */
export default defineConfig({
  plugins: [
    {
      name: 'one-azurite',
      enforce: 'pre',
      resolveId: (source, importer) =>
        source.endsWith('/local/azurite.ts') && importer?.includes('/shared/')
          ? fileURLToPath(new URL('emptied-azurite.ts', import.meta.url))
          : null,
    },
  ],
  test: {
    include: ['shared/{outbox,inbox,limits,platform}/**/*.test.ts'],
    // Whole uploads of 150 MB: minutes for each mutant, and nothing that other suites do not see.
    exclude: ['shared/outbox/uploads/uploads.test.ts'],
    globalSetup: [fileURLToPath(new URL('one-azurite.ts', import.meta.url))],
    // A worker of its own for each file of each run takes longer than most tests. Stryker switches mutants while they run.
    isolate: false,
    // A mutant may make a test wait for ever.
    testTimeout: 15_000,
    hookTimeout: 30_000,
    // A second, without it: less than some of what is waited for.
    expect: { poll: { timeout: 10_000 } },
  },
});
