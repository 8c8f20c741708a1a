import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDovecot } from '../test/support/dovecot.ts';
import { imapAccount } from '../test/support/imap-account.ts';
import type { Mailroom } from '../test/support/mailroom.ts';
import { password } from './import-seconds.ts';
import { startMailroom } from './storage.ts';

const limitSeconds = 120;
/** A little more than the five minutes of the accounts' schedule. */
const roundMs = 301_000;
const schedule = '0 */5 * * * *';

/** What imports of the other accounts took, in seconds. */
export interface HeldUp {
  readonly accounts: number;
  readonly without: number;
  /** While an account's server took the connection and said nothing. */
  readonly withDead: number;
}

/** Imports of many accounts that one firing of the schedule queues: without, and then with, one whose server is dead. */
export async function deadServer(options: { readonly quick: boolean }): Promise<HeldUp> {
  const accounts = options.quick ? 50 : 200;
  const names = Array.from({ length: accounts }, (_, n) => `living-${n}`);
  const dovecot = await startDovecot({ users: Object.fromEntries(names.map((name) => [name, password])) });
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
  const address = dead.address();
  const sockets: { destroy(): void }[] = [];
  dead.on('connection', (socket) => sockets.push(socket.on('error', () => undefined)));
  try {
    const mailroom = await startMailroom('tuned');
    try {
      for (const user of names) await imapAccount(mailroom, user, dovecot, { user, password, rule: { schedule } });
      await timeRound(mailroom, { accounts, shiftMs: 0, waits: 0 });
      const without = await timeRound(mailroom, { accounts, shiftMs: roundMs, waits: 0 });
      const port = typeof address === 'object' ? address?.port : undefined;
      const store = { protocol: 'imap', host: '127.0.0.1', port, auth: { type: 'none' }, tls: { starttls: 'never' } };
      await mailroom.expect(201, 'PUT', '/api/accounts/dead', { body: { from: 'dead@example.com', store } });
      const withDead = await timeRound(mailroom, { accounts, shiftMs: 2 * roundMs, waits: 1 });
      if (sockets.length === 0) throw new Error('the dead server was never asked');
      return { accounts, without, withDead };
    } finally {
      for (const socket of sockets) socket.destroy();
      await mailroom.stop();
    }
  } finally {
    dead.close();
    await dovecot.remove();
  }
}

interface Round {
  readonly accounts: number;
  readonly shiftMs: number;
  /** Imports that are still under way at its end. */
  readonly waits: number;
}

/** Seconds from the firing of the schedule to the end of so many imports. */
async function timeRound(mailroom: Mailroom, { accounts, shiftMs, waits }: Round): Promise<number> {
  await mailroom.setClock(shiftMs);
  const before = await counted(mailroom);
  const began = performance.now();
  await mailroom.fire('import-schedule');
  for (;;) {
    const now = await counted(mailroom);
    const seconds = (performance.now() - began) / 1000;
    if (now.ended - before.ended >= accounts) {
      if (now.begun - now.ended < waits) throw new Error('the import from the dead server has ended');
      return seconds;
    }
    if (seconds > limitSeconds) throw new Error(`only ${now.ended - before.ended} of ${accounts} imports have ended`);
    await sleep(20);
  }
}

async function counted(mailroom: Mailroom) {
  const log = await mailroom.log();
  const count = (what: string) => log.split(`${what} 'Functions.mail-import'`).length - 1;
  return { begun: count('Executing'), ended: count('Executed') };
}
