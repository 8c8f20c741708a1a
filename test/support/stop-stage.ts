import { type Dovecot, startDovecot } from './dovecot.ts';
import { graphAccount } from './graph-account.ts';
import { deliverAll } from './imap-account.ts';
import { catcher, type StorageMoment } from './kill-moments.ts';
import { type Beside, type Environment, Mailroom, until } from './mailroom.ts';
import type { TestMail } from './mails.ts';
import { EventReader } from './sending.ts';
import { serverAccount } from './server-account.ts';
import { type StorageGate, startStorageGate } from './storage-gate.ts';

export const stopProtocols = ['imap', 'pop3', 'graph'] as const;
export type StopProtocol = (typeof stopProtocols)[number];

/** The protocols on which the nth moment is tried: one after the other, and each of them in `npm run test:soak`. */
export function protocolsAt(n: number): readonly StopProtocol[] {
  return process.env.SOAK ? stopProtocols : stopProtocols.filter((_, at) => at === n % stopProtocols.length);
}

/** An account on one of the protocols; its mailbox has its name. */
export interface StopAccount {
  readonly protocol: StopProtocol;
  readonly name: string;
}

export interface Moment extends StorageMoment {
  readonly when: string;
}

/** Parts of the requests to storage by which a moment is found. */
export const blob = (name: string) => ({ service: 'blob', method: 'PUT', text: `/${name}` }) as const;
export const table = (text: string) => ({ service: 'table', text }) as const;
export const event = { service: 'queue', text: '/mail-events/messages' } as const;

/** Leases of the first process have lapsed for the second. */
const aheadMs = 60_000;

/**
 * A process is stopped (SIGSTOP) at a named moment, another one whose clock is ahead takes its accounts over and does all
 * of the work, and then the first one goes on. The first one's requests to storage pass through a gate.
 */
export class StopStage {
  readonly mailroom: Mailroom;
  readonly events: EventReader;
  readonly #gate: StorageGate;
  readonly #dovecot: Dovecot;
  #beside: Beside | undefined;

  private constructor(gate: StorageGate, mailroom: Mailroom, dovecot: Dovecot) {
    this.#gate = gate;
    this.mailroom = mailroom;
    this.#dovecot = dovecot;
    this.events = new EventReader(mailroom);
  }

  static async start(accounts: readonly StopAccount[], env: Environment = {}): Promise<StopStage> {
    const gate = await startStorageGate();
    const [mailroom, dovecot] = await Promise.all([
      Mailroom.start({
        env: (azurite) => ({ MailStorage: gate.lead(azurite), IMPORT_BUDGET_SECONDS: '30', ...env }),
        graph: accounts
          .filter(({ protocol }) => protocol === 'graph')
          .map(({ name }) => ({ userPrincipalName: `${name}@example.com` })),
      }),
      startDovecot({ users: Object.fromEntries(accounts.map(({ name }) => [name, `password of ${name}`])) }),
    ]);
    const stage = new StopStage(gate, mailroom, dovecot);
    await stage.startSecond(0);
    return stage;
  }

  /** Starts the second process, a minute ahead of `shiftMs`. */
  async startSecond(shiftMs: number): Promise<void> {
    const env = { MailStorage: this.mailroom.azurite.connectionString };
    this.#beside = await this.mailroom.beside({ shiftMs: shiftMs + aheadMs, env });
  }

  /** Both clocks are this far ahead. */
  async setClocks(shiftMs: number): Promise<void> {
    await this.mailroom.setClock(shiftMs);
    await this.second.setClock(shiftMs + aheadMs);
  }

  /** The second process alone has ended. */
  async endSecond(): Promise<void> {
    await this.#beside?.kill();
    this.#beside = undefined;
  }

  get second(): Beside {
    if (!this.#beside) throw new Error('The second process has ended');
    return this.#beside;
  }

  async stop(): Promise<void> {
    // Whatever failed, nothing is left standing.
    await this.#beside?.kill();
    if (this.mailroom.pid) process.kill(this.mailroom.pid, 'SIGCONT');
    this.#gate.release();
    await this.mailroom.stop();
    await this.#dovecot.remove();
    await this.#gate.stop();
  }

  async setUp(
    { protocol, name }: StopAccount,
    mails: readonly TestMail[],
    rule: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.deliver({ protocol, name }, mails);
    if (protocol === 'graph') {
      await graphAccount(this.mailroom, name, { user: `${name}@example.com`, transport: null, rule });
    } else {
      await serverAccount(this.mailroom, name, this.#dovecot, { protocol, user: name, rule });
    }
  }

  async deliver({ protocol, name }: StopAccount, mails: readonly TestMail[]): Promise<void> {
    if (protocol === 'graph') {
      for (const { bytes } of mails) this.mailroom.graph.mailbox(`${name}@example.com`).deliver(bytes);
    } else {
      await deliverAll(this.#dovecot, mails, { user: name });
    }
  }

  /** How many mails are in the inbox. */
  async left({ protocol, name }: StopAccount): Promise<number> {
    if (protocol === 'graph') return this.mailroom.graph.mailbox(`${name}@example.com`).mails('inbox').length;
    const client = await this.#dovecot.client(name);
    try {
      return (await client.uids('INBOX')).length;
    } finally {
      await client.close();
    }
  }

  async importBeside({ name }: StopAccount): Promise<void> {
    const options = { url: this.second.url, headers: { prefer: 'wait=60' } };
    await until(`${name} imported by the other process`, 60, async () => {
      const { status } = await this.mailroom.expect([200, 202], 'POST', `/api/accounts/${name}/import`, options);
      const reported = await this.mailroom.expect(200, 'GET', `/api/accounts/${name}/status`, { url: this.second.url });
      return status === 200 && reported.json.lastRun.status === 'done' && reported.json.pending === 0;
    });
  }

  /** How often the first process has carried out a function. */
  async executed(name: string): Promise<number> {
    return (await this.mailroom.log()).split(`Executed 'Functions.${name}'`).length - 1;
  }

  /**
   * Stops the first process when each of the accounts is at the moment, lets `meanwhile` be done by the second, and lets
   * the first go on until it has carried out the function as often as `begin` began it.
   */
  async stopAt(
    accounts: readonly StopAccount[],
    moment: StorageMoment,
    work: {
      readonly function: string;
      readonly times: number;
      begin(): Promise<void>;
      meanwhile(): Promise<void>;
    },
  ): Promise<void> {
    // The queue's messages are for the first process.
    process.kill(this.second.pid, 'SIGSTOP');
    const before = await this.executed(work.function);
    const caught = accounts.map(({ name }) => this.#gate.hold({ fits: catcher(name, moment), at: moment.at }));
    await work.begin();
    await Promise.all(caught);
    process.kill(this.mailroom.pid, 'SIGSTOP');
    process.kill(this.second.pid, 'SIGCONT');
    await work.meanwhile();
    process.kill(this.mailroom.pid, 'SIGCONT');
    this.#gate.resume();
    const ended = async () => (await this.executed(work.function)) >= before + work.times;
    await until('the end of what was stopped', 60, ended);
  }
}
