import { timer } from './app/timer.ts';

timer('outbox-recovery', '0 * * * * *', async () => (await import('./app/timer-jobs.ts')).outboxRecovery);
