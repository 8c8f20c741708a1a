import { app } from '@azure/functions';
import { run } from './timer.ts';

app.storageQueue('mail-import', {
  queueName: 'mail-import',
  connection: 'MailStorage',
  handler: (entry, context) =>
    run(context, async ({ inbox }) => {
      const { importEntry } = await import('../shared/inbox/queue-entry.ts');
      const { runImport } = await import('../shared/inbox/run.ts');
      const { account, ...options } = importEntry(entry);
      await runImport(inbox, account, options);
    }),
});
