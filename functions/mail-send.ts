import { app } from '@azure/functions';
import { run } from './timer.ts';

app.storageQueue('mail-send', {
  queueName: 'mail-send',
  connection: 'MailStorage',
  handler: (entry, context) =>
    run(context, async ({ outbox }) => {
      const { deliverFromQueue } = await import('../shared/outbox/deliver.ts');
      const { saveSentCopy } = await import('../shared/outbox/sent-copy.ts');
      const { deliveryMs } = await import('../shared/outbox/submit.ts');
      const { sendEntry } = await import('../shared/outbox/queue-entry.ts');
      const { id, copy } = sendEntry(entry);
      await (copy ? saveSentCopy : deliverFromQueue)(outbox, id, { signal: AbortSignal.timeout(deliveryMs) });
    }),
});
