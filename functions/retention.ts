import { timer } from './timer.ts';

timer('retention', { setting: 'RETENTION_SCHEDULE' }, async (services, signal) => {
  const { retainAll } = await import('../shared/inbox/retention.ts');
  const { housekeep } = await import('../shared/retention/housekeeping.ts');
  const { keepKeyMs } = await import('../shared/outbox/idempotency.ts');
  const { inbox, outbox, settings, accounts, assets } = services;
  await retainAll(inbox, { signal });
  await housekeep(
    {
      now: inbox.clock.now(),
      accounts: await accounts.everyName({ signal }),
      outboxRows: outbox.rows,
      inboxRows: inbox.rows,
      mime: outbox.mime,
      assets,
      retention: {
        outboxDays: settings.outboxRetentionDays,
        recordDays: settings.recordRetentionDays,
        assetDays: settings.assetRetentionDays,
        keyMs: keepKeyMs,
      },
    },
    { signal },
  );
});
