import { timer } from './app/timer.ts';

timer(
  'import-schedule',
  { setting: 'IMPORT_SCHEDULE' },
  async () => (await import('./app/timer-jobs.ts')).importSchedule,
);
