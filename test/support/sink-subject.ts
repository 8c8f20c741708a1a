import { Readable } from 'node:stream';
import { createSinkTransport } from '../../shared/adapters/sink/sink-transport.ts';
import type { MailTransport } from '../../shared/adapters/transport.ts';
import type { DeliveredMail, MailSubject } from '../contract/transport.contract.ts';

/** The sink sends nothing: what it read of a mail that it then accepted stands for what a server would have. */
export async function startSinkSubject(): Promise<MailSubject> {
  const delivered: DeliveredMail[] = [];
  return {
    transport: () => watched(createSinkTransport(), delivered),
    delivered: async () => delivered,
    refuses: { forGood: 'rejected@sink.invalid', forNow: 'deferred@sink.invalid' },
    async stop() {},
  };
}

function watched(transport: MailTransport, delivered: DeliveredMail[]): MailTransport {
  return {
    ...transport,
    async send(mail, options) {
      const chunks: Buffer[] = [];
      const open: typeof mail.open = async (signal) => {
        const source = await mail.open(signal);
        async function* read() {
          for await (const chunk of source) {
            chunks.push(Buffer.from(chunk));
            yield chunk;
          }
        }
        return Readable.from(read());
      };
      const receipt = await transport.send({ ...mail, open }, options);
      const recipients = receipt.recipients.filter(({ outcome }) => outcome === 'accepted');
      if (recipients.length > 0) {
        delivered.push({ bytes: Buffer.concat(chunks), recipients: recipients.map(({ address }) => address) });
      }
      return receipt;
    },
  };
}
