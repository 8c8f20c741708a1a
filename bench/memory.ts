import { startDovecot } from '../test/support/dovecot.ts';
import { deliverAll, imapAccount } from '../test/support/imap-account.ts';
import { Mailroom, until } from '../test/support/mailroom.ts';
import { random, testMail } from '../test/support/mails.ts';
import { digits, type SectionResult } from './report.ts';
import { idleMemory, peakMemory } from './resident-memory.ts';
import { startSink } from './sink.ts';

const megabyte = 1_000_000;
const largeBytes = 150 * megabyte;
/** Memory of the functions process above idle while one mail of 150 MB passes, in each direction. */
export async function memory(): Promise<SectionResult> {
  const next = random(5);
  const large = testMail({ n: 1, attachment: Math.floor((largeBytes * 57) / 78) }, next);
  const dovecot = await startDovecot({ users: { tester: 'password of tester' } });
  const sink = await startSink();
  const mailroom = await Mailroom.start();
  try {
    await mailroom.expect(201, 'PUT', '/api/accounts/corpus', {
      body: {
        from: 'sender1@example.net',
        transport: { protocol: 'smtp', host: '127.0.0.1', port: sink.port, tls: { starttls: 'never' } },
      },
    });
    const send = async (bytes: Buffer) => {
      const wanted = (await sink.report()).arrivals.length + 1;
      await mailroom.expect(202, 'POST', '/api/messages', {
        raw: bytes,
        headers: { 'content-type': 'message/rfc822' },
      });
      await until('delivered', 120, async () => (await sink.report()).arrivals.length >= wanted);
    };
    // What is loaded once and kept is not what a large mail costs.
    await deliverAll(
      dovecot,
      Array.from({ length: 200 }, (_, n) => testMail({ n: 10 + n, attachment: 20_000 }, next)),
    );
    await imapAccount(mailroom, 'box', dovecot);
    await mailroom.import('box');
    for (let n = 0; n < 40; n += 1) await send(testMail({ n: 1, attachment: 20_000 }, next).bytes);
    const idle = await idleMemory(mailroom.pid);
    const sending = await peakMemory(mailroom.pid, () => send(large.bytes));
    await deliverAll(dovecot, [large]);
    await idleMemory(mailroom.pid);
    const importing = await peakMemory(mailroom.pid, async () => {
      const run = await mailroom.import('box', 180);
      if (run.imported !== 1) throw new Error(`the import ended as ${JSON.stringify(run)}`);
    });
    const growth = (peak: number) => (peak - idle) / megabyte;
    return {
      title: 'Memory: one mail of 150 MB in each direction',
      notes: [
        `Resident memory of the functions process, idle after 200 small mails in and 40 out. No collection of garbage is forced.`,
      ],
      table: [
        ['MB', 'idle', 'peak', 'growth'],
        ['sent (HTTP to SMTP)', digits(idle / megabyte), digits(sending / megabyte), digits(growth(sending))],
        ['imported (IMAP to blobs)', digits(idle / megabyte), digits(importing / megabyte), digits(growth(importing))],
      ],
      goals: [
        { what: 'memory: growth, sent', figure: growth(sending), bound: 'atMost', target: 64, unit: ' MB' },
        { what: 'memory: growth, imported', figure: growth(importing), bound: 'atMost', target: 64, unit: ' MB' },
      ],
    };
  } finally {
    await mailroom.stop();
    await sink.stop();
    await dovecot.remove();
  }
}
