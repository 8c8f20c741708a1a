import { app } from '@azure/functions';
import { watchedTimers } from './app/timer.ts';

app.storageQueue('mail-send', {
  queueName: 'mail-send',
  connection: 'MailStorage',
  handler: async (entry, context) => {
    const { mailSend } = await import('./app/queue-jobs.ts');
    await mailSend(entry, context, watchedTimers);
  },
});
