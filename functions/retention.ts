import { timer } from './timer.ts';

timer('retention', { setting: 'RETENTION_SCHEDULE' }, async (services, signal) => {
  const { inbox, outbox, settings, accounts, assets, secrets } = services;
  const { tellEndingSecrets } = await import('../shared/accounts/ending-secrets.ts');
  const { tellStandingTrouble } = await import('../shared/accounts/standing-trouble.ts');
  const { retainAll } = await import('../shared/inbox/retention.ts');
  const { closeDeadRuns, removeOldRuns } = await import('../shared/inbox/housekeeping.ts');
  const { removeOldMail } = await import('../shared/outbox/housekeeping.ts');
  const { outboxRetentionDays: mimeDays, recordRetentionDays: recordDays, assetRetentionDays } = settings;
  await tellEndingSecrets(accounts, secrets, inbox.clock, { signal });
  await tellStandingTrouble(accounts, inbox.health, { signal });
  await retainAll(inbox, { signal });
  await removeOldMail(outbox, { mimeDays, recordDays }, { signal });
  await closeDeadRuns(inbox, { signal });
  await removeOldRuns(inbox, recordDays, { signal });
  if (assetRetentionDays !== undefined) {
    await assets.deleteOlderThan(await accounts.everyName({ signal }), assetRetentionDays, inbox.clock, { signal });
  }
});
