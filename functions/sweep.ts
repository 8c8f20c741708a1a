import { timer } from './timer.ts';

timer('sweep', { setting: 'SWEEP_SCHEDULE' }, async ({ inbox }, signal) => {
  const { sweepAll } = await import('../shared/inbox/sweep.ts');
  await sweepAll(inbox, { signal });
});
