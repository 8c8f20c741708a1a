import { timer } from './timer.ts';

timer('outbox-recovery', '0 * * * * *', async ({ outbox }, signal) => {
  const { recover } = await import('../shared/outbox/recover.ts');
  await recover(outbox, { signal });
});
