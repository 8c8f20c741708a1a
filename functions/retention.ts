import { timer } from './app/timer.ts';

timer('retention', { setting: 'RETENTION_SCHEDULE' }, async () => (await import('./app/timer-jobs.ts')).retention);
