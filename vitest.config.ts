import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/sequencer.ts';

export default defineConfig({
  test: {
    include: ['{functions,shared,local,test,infra}/**/*.test.ts'],
    // Kills and stops for half an hour: by `npm run test:soak` alone.
    exclude: [...configDefaults.exclude, ...(process.env.SOAK ? [] : ['test/*-soak.test.ts'])],
    // Far more than any test takes on a machine of its own: a busy one must not make it fail.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    fileParallelism: true,
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/contract-table.ts'],
  },
});
