import { app } from '@azure/functions';
import { watchedTimers } from './app/timer.ts';

app.storageQueue('mail-import', {
  queueName: 'mail-import',
  connection: 'MailStorage',
  handler: async (entry, context) => {
    const { mailImport } = await import('./app/queue-jobs.ts');
    await mailImport(entry, context, watchedTimers);
  },
});
