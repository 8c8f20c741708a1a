import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { startDovecot } from '../test/support/dovecot.ts';
import { imapAccount } from '../test/support/imap-account.ts';
import { type Mailroom, until } from '../test/support/mailroom.ts';
import { executions } from './executions.ts';
import { password } from './import-seconds.ts';
import { digits, median, type SectionResult } from './report.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

const limitSeconds = 120;
/** Of the dead server's account: longer than a round may take. */
const timeout = 300_000;
/** A little more than the five minutes of the accounts' schedule. */
const roundMs = 301_000;
const schedule = '0 */5 * * * *';
const dead = '/api/accounts/dead';
/** JSON merge patch (RFC 7396). */
const headers = { 'content-type': 'application/merge-patch+json' };

/** What imports of the other accounts took in each round, in seconds. */
interface HeldUp {
  readonly without: number[];
  /** While an account's server took the connection and said nothing. */
  readonly withDead: number[];
}

/** Imports of many accounts that one firing of the schedule queues: without, and with, one whose server is dead. */
export async function deadServer(options: { readonly quick: boolean }): Promise<SectionResult> {
  const accounts = options.quick ? 50 : 200;
  const rounds = options.quick ? 1 : 3;
  const names = Array.from({ length: accounts }, (_, n) => `living-${n}`);
  const users = Object.fromEntries(names.map((name) => [name, password]));
  return await withStarted(async (started) => {
    const dovecot = await started.add(startDovecot({ users }), (part) => part.remove());
    const server = await started.add(startDeadServer(), (part) => part.stop());
    const mailroom = await started.add(startMailroom('tuned'), (part) => part.stop());
    for (const user of names) await imapAccount(mailroom, user, dovecot, { user, password, rule: { schedule } });
    const auth = { type: 'none' };
    const tls = { starttls: 'never' };
    const store = {
      ...{ protocol: 'imap', host: '127.0.0.1', port: server.port, auth, tls },
      ...{ timeout, connectionTimeout: timeout },
    };
    const body = { from: 'dead@example.com', store, enabled: false, import: { schedule } };
    await mailroom.expect(201, 'PUT', dead, { body });
    let shiftMs = 0;
    const time = async (isDead: boolean) => {
      await mailroom.expect(200, 'PATCH', dead, { body: { enabled: isDead }, headers });
      const seconds = await timeRound(mailroom, { accounts, shiftMs, waits: isDead ? 1 : 0 });
      shiftMs += roundMs;
      return seconds;
    };
    // The first run of each account is of another kind.
    await time(false);
    const heldUp: HeldUp = { without: [], withDead: [] };
    for (let round = 0; round < rounds; round += 1) {
      // Whichever is second finds fuller tables.
      for (const isDead of round % 2 === 0 ? [false, true] : [true, false]) {
        (isDead ? heldUp.withDead : heldUp.without).push(await time(isDead));
        if (server.hangUp() === 0 && isDead) throw new Error('the dead server was never asked');
      }
    }
    return result(accounts, heldUp);
  });
}

/** Takes every connection and says nothing. */
async function startDeadServer() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  /** Ends all connections, and answers how many there were. */
  const hangUp = () => {
    const { size } = sockets;
    for (const socket of sockets) socket.destroy();
    return size;
  };
  return {
    port: (server.address() as AddressInfo).port,
    hangUp,
    stop: () => {
      hangUp();
      server.close();
    },
  };
}

interface Round {
  readonly accounts: number;
  readonly shiftMs: number;
  /** Imports that are still under way at its end. */
  readonly waits: number;
}

/** Seconds from the begin of the first import that a firing of the schedule brings to the end of so many of them. */
async function timeRound(mailroom: Mailroom, { accounts, shiftMs, waits }: Round): Promise<number> {
  const ranOn = async () => executions(await mailroom.log(), 'mail-import');
  const before = await until('the end of earlier imports', limitSeconds, async () => {
    const { begun, ended } = await ranOn();
    return begun.length === ended.length ? begun.length : undefined;
  });
  await mailroom.setClock(shiftMs);
  await mailroom.fire('import-schedule');
  return await until(`the end of ${accounts} imports`, limitSeconds, async () => {
    const all = await ranOn();
    const begun = all.begun.slice(before);
    const ended = all.ended.slice(before);
    if (ended.length < accounts || begun.length < accounts + waits) return undefined;
    if (ended.length > accounts) throw new Error('the import from the dead server has ended');
    return ((ended[accounts - 1] ?? Number.NaN) - (begun[0] ?? Number.NaN)) / 1000;
  });
}

function result(accounts: number, { without, withDead }: HeldUp): SectionResult {
  const ratios = withDead.map((seconds, round) => seconds / (without[round] ?? Number.NaN));
  const row = (name: string, values: readonly number[]) => [name, digits(median(values)), values.map(digits).join(' ')];
  return {
    title: `A dead server among ${accounts} accounts`,
    notes: [
      'Imports of empty mailboxes that one firing of the schedule queues: from the begin of the first to the end of the last, by the log of the host.',
      'The dead server takes a connection and says nothing; its import is still under way when all others have ended.',
    ],
    table: [
      ['', 'seconds', 'each round'],
      row('imports', without),
      row('the same, beside a dead server', withDead),
      row('ratio', ratios),
    ],
    goals: [
      {
        what: 'imports beside a dead server, times the same without',
        figure: median(ratios),
        bound: 'atMost',
        target: 1.2,
        unit: 'x',
      },
    ],
  };
}
