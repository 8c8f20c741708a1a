import { app } from '@azure/functions';
import { watchedTimers } from './app/timer.ts';

app.storageQueue('mail-webhooks', {
  queueName: 'mail-webhooks',
  connection: 'MailStorage',
  handler: async (entry, context) => {
    const { mailWebhooks } = await import('./app/queue-jobs.ts');
    await mailWebhooks(entry, context, watchedTimers);
  },
});
