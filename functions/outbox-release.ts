import { timer } from './app/timer.ts';

timer('outbox-release', '30 * * * * *', async () => (await import('./app/timer-jobs.ts')).outboxRelease);
