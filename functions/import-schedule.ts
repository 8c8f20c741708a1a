import { timer } from './timer.ts';

timer('import-schedule', { setting: 'IMPORT_SCHEDULE' }, async ({ inbox, accountRows }, signal) => {
  const { scheduleImports } = await import('../shared/inbox/schedule.ts');
  await scheduleImports(inbox, accountRows, { signal });
});
