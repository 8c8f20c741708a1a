import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/sequencer.ts';

/** Suites of the product's files that need a process of their own: they measure its memory, or move its clock. */
const alone = [
  'shared/**/*memory.test.ts',
  'shared/adapters/graph/send/detach.test.ts',
  'shared/adapters/imap/store/imap-answers.test.ts',
  'shared/adapters/sign-in/entra/sign-in.test.ts',
  'shared/inbox/importing/{run-time,server-evidence}.test.ts',
  'shared/inbox/push/tend.test.ts',
  'shared/inbox/quarantine/replay.test.ts',
  'shared/limits/process-*.test.ts',
  'shared/mime/torture.test.ts',
  'shared/outbox/delivering/{deliver,policy-refusals,worker-quota}.test.ts',
  'shared/outbox/sent-copies/sent-copy.test.ts',
  'shared/outbox/uploads/uploads.test.ts',
  'shared/platform/{race-with,row-lease,row-lease-time,timer-watch}.test.ts',
  'shared/stats/day-counts.test.ts',
];

// Kills and stops for half an hour: by `npm run test:soak` alone.
const exclude = [...configDefaults.exclude, ...(process.env.SOAK ? [] : ['test/*-soak.test.ts'])];

export default defineConfig({
  test: {
    // Far more than any test takes on a machine of its own: a busy one must not make it fail.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 120_000 } },
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/contract-table.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'service', include: ['{local,test,infra}/**/*.test.ts', ...alone], exclude },
      },
      {
        extends: true,
        // One process runs many of these suites: loading the same files anew for each takes longer than most of them.
        test: { name: 'unit', include: ['shared/**/*.test.ts'], exclude: [...exclude, ...alone], isolate: false },
      },
    ],
  },
});
