import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { FrozenMail, MailTransport, Receipt, SendOptions } from '../../shared/adapters/transport.ts';

/** A mail as the server has it, with the recipients it has it for. */
export interface DeliveredMail {
  readonly bytes: Buffer;
  readonly recipients: readonly string[];
}

/** Where mail goes. */
export interface MailSubject {
  /** A transport that leads there, at most `maxConnections` at a time (default 5). The test closes it. */
  transport(options?: { readonly maxConnections?: number }): MailTransport;
  delivered(): Promise<readonly DeliveredMail[]>;
  /** Bytes of mail text that came for the mail under way, where that can be known. */
  received?(): number;
  /** Recipients that are refused for good and for now, where the protocol refuses them one by one. */
  readonly refuses?: { readonly forGood: string; readonly forNow: string };
  stop(): Promise<void>;
}

/** A server and what a test may do to it. Faults last until `heal`. */
export interface TransportSubject extends MailSubject {
  /** A transport for a place where nothing listens. */
  unreachable(): MailTransport;
  /** Connections (or, where a protocol has none, sign-ins) the server has seen in all. */
  connections(): number;
  /** Connections open now. */
  openConnections(): number;
  /** The server takes the next mail whole and cuts the connection instead of answering. */
  loseAnswer(): void;
  /** The server answers nothing any more, on open connections and new ones. */
  goSilent(): void;
  heal(): void;
}

/** Longest a test waits for something that ought to happen at once. */
const DEADLINE_MS = 90_000;

/** Waits until `condition` holds; fails by its name after ten seconds. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface MailParts {
  readonly to?: readonly string[];
  readonly body?: Buffer | string;
  /** The size the mail claims, where it is not that of its text. */
  readonly size?: number;
  readonly open?: FrozenMail['open'];
  readonly envelope?: Partial<FrozenMail['envelope']>;
  readonly smtpUtf8?: boolean;
}

/** A frozen mail and its text. */
export function frozenMail(parts: MailParts = {}): FrozenMail & { readonly text: Buffer } {
  const id = randomBytes(8).toString('hex');
  const messageId = `<${id}@mailroom.example>`;
  const to = parts.to ?? ['anna@example.org'];
  const headers = [
    'From: Corpus <corpus@example.com>',
    `To: ${to.join(', ')}`,
    'Subject: contract',
    `Message-ID: ${messageId}`,
    'Date: Mon, 02 Mar 2026 08:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
  ].join('\r\n');
  const text = Buffer.concat([Buffer.from(`${headers}\r\n\r\n`), Buffer.from(parts.body ?? 'Hello.\r\n')]);
  return {
    id,
    messageId,
    envelope: { from: 'corpus@example.com', to, ...parts.envelope },
    bcc: [],
    headerFrom: 'corpus@example.com',
    date: Date.UTC(2026, 2, 2, 8),
    ...(parts.smtpUtf8 === undefined ? {} : { smtpUtf8: parts.smtpUtf8 }),
    size: parts.size ?? text.length,
    open: parts.open ?? (async () => Readable.from([text])),
    text,
  };
}

/** Send options that count commits. */
export function sendOptions(changes: Partial<SendOptions> = {}): SendOptions & { readonly commits: () => number } {
  let commits = 0;
  const { beforeCommit, ...rest } = changes;
  return {
    signal: AbortSignal.timeout(30_000),
    remember: async () => {},
    beforeCommit: async () => {
      commits += 1;
      await beforeCommit?.();
    },
    ...rest,
    commits: () => commits,
  };
}

export const outcomes = (receipt: Receipt) => receipt.recipients.map((recipient) => recipient.outcome);

/** A body that has every octet but CR, LF and NUL, dots where they hurt, and lines of the longest length. */
function hostileBody(): Buffer {
  const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet).filter((o) => ![0, 10, 13].includes(o)));
  const line = (text: string | Buffer) => Buffer.concat([Buffer.from(text), Buffer.from('\r\n')]);
  return Buffer.concat([
    ...['.', '..', '.hidden', '', '.', 'x'.repeat(998), '.'.repeat(998), 'MAIL FROM:<a@b>', 'QUIT'].map(line),
    line(octets),
    ...['Grüße, 你好', '', '.', ''].map(line),
  ]);
}

/** Lines of text, some `size` bytes. */
export function longBody(size: number): Buffer {
  const line = Buffer.from(`${'0123456789abcdef'.repeat(4)}\r\n.dotted\r\n`);
  return Buffer.alloc(Math.ceil(size / line.length) * line.length, line);
}

/** Starts what a test asks for, and ends it after the test. */
function subjects<S extends MailSubject>(setUp: () => Promise<S>) {
  const open: MailTransport[] = [];
  let subject: S | undefined;
  afterEach(async () => {
    await Promise.all(open.splice(0).map((transport) => transport.close()));
    await subject?.stop();
    subject = undefined;
  });
  return {
    async start(): Promise<S> {
      const started = await setUp();
      subject = started;
      return started;
    },
    kept(transport: MailTransport): MailTransport {
      open.push(transport);
      return transport;
    },
  };
}

/** What every transport must keep, also one that speaks to no server. */
export function mailContract(name: string, setUp: () => Promise<MailSubject>): void {
  describe(`${name}: the contract of a transport`, () => {
    const { start, kept } = subjects(setUp);

    it('brings every byte unchanged, for every recipient', async () => {
      const server = await start();
      const to = ['anna@example.org', 'bert@example.org', 'carl@example.net'];
      const mail = frozenMail({ to, body: hostileBody() });
      const options = sendOptions();
      const receipt = await kept(server.transport()).send(mail, options);
      expect(outcomes(receipt)).toEqual(['accepted', 'accepted', 'accepted']);
      expect(receipt.recipients.map((recipient) => recipient.address)).toEqual(to);
      expect(receipt.trouble).toBeUndefined();
      expect(options.commits()).toBe(1);
      const [delivered, ...more] = await server.delivered();
      expect(more).toEqual([]);
      expect(delivered?.bytes.equals(mail.text)).toBe(true);
      expect([...(delivered?.recipients ?? [])].sort()).toEqual([...to].sort());
    });

    it('brings a large mail unchanged, however it is cut into pieces', async () => {
      const server = await start();
      const whole = frozenMail({ body: longBody(3_000_000) });
      async function* pieces() {
        for (let at = 0, size = 1; at < whole.text.length; at += size, size = (size * 7) % 60_013) {
          yield whole.text.subarray(at, at + size);
        }
      }
      const mail = { ...whole, open: async () => Readable.from(pieces()) };
      expect(outcomes(await kept(server.transport()).send(mail, sendOptions()))).toEqual(['accepted']);
      const [delivered] = await server.delivered();
      expect(delivered?.bytes.equals(whole.text)).toBe(true);
    });

    it('commits before the last byte leaves', async () => {
      const server = await start();
      const mail = frozenMail({ body: longBody(400_000) });
      let receivedAtCommit = 0;
      let deliveredAtCommit = -1;
      const options = sendOptions({
        beforeCommit: async () => {
          const received = server.received;
          // All that is not held back has come: more would come now if the end were on its way too.
          if (received) await eventually('the text up to the commit', () => received() > mail.size - 100_000);
          for (let turns = 0; turns < 50; turns++) await turn();
          receivedAtCommit = received?.() ?? 0;
          deliveredAtCommit = (await server.delivered()).length;
        },
      });
      expect(outcomes(await kept(server.transport()).send(mail, options))).toEqual(['accepted']);
      expect(options.commits()).toBe(1);
      expect(receivedAtCommit).toBeLessThan(mail.size);
      expect(deliveredAtCommit).toBe(0);
      expect(await server.delivered()).toHaveLength(1);
    });

    it('delivers nothing when the commit fails, and stays usable', async () => {
      const server = await start();
      const transport = kept(server.transport());
      const refusal = sendOptions({ beforeCommit: () => Promise.reject(new Error('claim lost')) });
      const receipt = await transport.send(frozenMail({ body: longBody(200_000) }), refusal);
      expect(outcomes(receipt)).toEqual(['deferred']);
      expect(receipt.trouble?.hint).toBeTruthy();
      expect(refusal.commits()).toBe(1);
      const after = frozenMail({ to: ['bert@example.org'] });
      expect(outcomes(await transport.send(after, sendOptions()))).toEqual(['accepted']);
      const delivered = await server.delivered();
      expect(delivered.map((mail) => mail.recipients)).toEqual([['bert@example.org']]);
    });

    it('delivers nothing of a text that ends short, goes on too long, breaks off or cannot be opened', async () => {
      const server = await start();
      const transport = kept(server.transport());
      const { text } = frozenMail({ body: longBody(100_000) });
      async function* broken() {
        yield text.subarray(0, 50_000);
        throw new Error('storage went away');
      }
      const sources: readonly FrozenMail['open'][] = [
        async () => Readable.from([text.subarray(0, text.length - 1)]),
        async () => Readable.from([text, Buffer.from('.\r\n')]),
        async () => Readable.from(broken()),
        () => Promise.reject(new Error('no such blob')),
      ];
      for (const source of sources) {
        const options = sendOptions();
        const receipt = await transport.send(frozenMail({ size: text.length, open: source }), options);
        expect(outcomes(receipt)).toEqual(['deferred']);
        expect(receipt.trouble?.scope).toBe('message');
        expect(options.commits()).toBe(0);
      }
      expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
      expect(await server.delivered()).toHaveLength(1);
    });

    it('judges each recipient alone, or takes the mail for all of them where the protocol knows no other way', async () => {
      const server = await start();
      const { refuses } = server;
      if (!refuses) {
        const everybody = ['anna@example.org', 'bert@example.org'];
        const receipt = await kept(server.transport()).send(frozenMail({ to: everybody }), sendOptions());
        expect(outcomes(receipt)).toEqual(['accepted', 'accepted']);
        expect((await server.delivered()).map((mail) => [...mail.recipients].sort())).toEqual([everybody]);
        return;
      }
      const to = [refuses.forGood, 'anna@example.org', refuses.forNow];
      const receipt = await kept(server.transport()).send(frozenMail({ to }), sendOptions());
      expect(outcomes(receipt)).toEqual(['rejected', 'accepted', 'deferred']);
      expect(receipt.recipients[0]?.code).toMatch(/^5\d\d$/);
      expect(receipt.recipients[2]?.code).toMatch(/^4\d\d$/);
      expect(receipt.recipients[0]?.reply).toBeTruthy();
      expect(receipt.trouble?.scope).toBe('message');
      expect((await server.delivered()).map((mail) => mail.recipients)).toEqual([['anna@example.org']]);
    });
  });
}

/** What every transport must keep that speaks to a server. `setUp` starts a server for each test. */
export function transportContract(name: string, setUp: () => Promise<TransportSubject>): void {
  mailContract(name, setUp);
  describe(`${name}: the contract of a transport`, () => {
    const { start, kept } = subjects(setUp);

    it('answers uncertain, and sends nothing again, when the answer is lost', async () => {
      const server = await start();
      const transport = kept(server.transport());
      await transport.send(frozenMail(), sendOptions());
      server.loseAnswer();
      const options = sendOptions();
      let opened = 0;
      const mail = frozenMail({ to: ['anna@example.org', 'bert@example.org'] });
      const counted: FrozenMail = {
        ...mail,
        open: async (signal) => {
          opened += 1;
          return mail.open(signal);
        },
      };
      const receipt = await transport.send(counted, options);
      expect(outcomes(receipt)).toEqual(['uncertain', 'uncertain']);
      expect(receipt.trouble?.hint).toBeTruthy();
      expect(options.commits()).toBe(1);
      expect(opened).toBe(1);
      server.heal();
      expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
      expect(await server.delivered()).toHaveLength(3);
    });

    it('answers deferred where nothing listens', async () => {
      const server = await start();
      const options = sendOptions();
      const receipt = await kept(server.unreachable()).send(frozenMail(), options);
      expect(outcomes(receipt)).toEqual(['deferred']);
      expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ECONNREFUSED' });
      expect(receipt.trouble?.hint).toBeTruthy();
      expect(options.commits()).toBe(0);
    });

    it('answers deferred when it is stopped beforehand, or while the server is silent', async () => {
      const server = await start();
      const transport = kept(server.transport());
      const beforehand = sendOptions({ signal: AbortSignal.abort() });
      expect(outcomes(await transport.send(frozenMail(), beforehand))).toEqual(['deferred']);
      server.goSilent();
      const began = Date.now();
      const during = sendOptions({ signal: AbortSignal.timeout(200) });
      const receipt = await transport.send(frozenMail(), during);
      expect(outcomes(receipt)).toEqual(['deferred']);
      expect(receipt.trouble?.scope).toBe('connection');
      expect(Date.now() - began).toBeLessThan(5_000);
      expect(beforehand.commits() + during.commits()).toBe(0);
      server.heal();
      expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
      expect(await server.delivered()).toHaveLength(1);
    });

    it('keeps its connection between mails, and opens no more than it may', async () => {
      const server = await start();
      const one = kept(server.transport());
      for (let count = 0; count < 3; count++) await one.send(frozenMail(), sendOptions());
      expect(server.connections()).toBe(1);
      const two = kept(server.transport({ maxConnections: 2 }));
      const mails = Array.from({ length: 12 }, () => frozenMail());
      const receipts = await Promise.all(mails.map((mail) => two.send(mail, sendOptions())));
      expect(receipts.flatMap(outcomes)).toEqual(mails.map(() => 'accepted'));
      expect(server.connections()).toBeLessThanOrEqual(3);
      const delivered = await server.delivered();
      for (const mail of mails) expect(delivered.filter(({ bytes }) => bytes.equals(mail.text))).toHaveLength(1);
    });

    it('ends its connections when it is closed, cuts a send under way and takes no other', async () => {
      const server = await start();
      const idle = server.transport();
      onTestFinished(() => idle.close());
      await idle.send(frozenMail(), sendOptions());
      await idle.close();
      await eventually('the idle connection ends', () => server.openConnections() === 0);
      const late = await idle.send(frozenMail(), sendOptions());
      expect(outcomes(late)).toEqual(['deferred']);
      expect(late.trouble).toMatchObject({ scope: 'connection', code: 'CLOSED' });

      const busy = server.transport();
      onTestFinished(() => busy.close());
      server.goSilent();
      const sending = busy.send(frozenMail(), sendOptions());
      await eventually('the silent connection opens', () => server.openConnections() > 0);
      await busy.close();
      const cut = await sending;
      expect(outcomes(cut)).toEqual(['deferred']);
      expect(cut.trouble).toMatchObject({ scope: 'connection', code: 'CLOSED' });
      server.heal();
      await eventually('the cut connection ends', () => server.openConnections() === 0);
      await busy.close();
    });
  });
}
