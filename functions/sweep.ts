import { timer } from './app/timer.ts';

timer('sweep', { setting: 'SWEEP_SCHEDULE' }, async () => (await import('./app/timer-jobs.ts')).sweep);
