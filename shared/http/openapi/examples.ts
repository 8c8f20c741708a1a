/** Values that examples of several routes share. */
export const exampleIds = {
  message: 'corpus.8264012345678a1b2c3d4e5f',
  asset: 'corpus.9d1f0c8b7a6e5d4c3b2a190f8e7d6c5b',
  run: '8264012345678a1b2c3d4e5f',
} as const;

/** A run that ended, as `RunView`. */
export const exampleRun = {
  id: exampleIds.run,
  status: 'done',
  startedAt: '2026-03-02T08:00:00.000Z',
  finishedAt: '2026-03-02T08:00:02.000Z',
  imported: 2,
  skipped: 0,
  pending: 0,
  quarantined: 0,
  disposed: 1,
} as const;

export const exampleMessageId = '<3f2b8c1e-7a64-4d0e-9b1a-5c2d3e4f5a6b@example.com>';
