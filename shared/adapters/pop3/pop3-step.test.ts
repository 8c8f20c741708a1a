import { afterEach, describe, expect, it } from 'vitest';
import { pop3Store } from '../../../test/support/pop3-fixture.ts';
import {
  type Pop3Script,
  type ScriptedPop3,
  startScriptedPop3,
  usualCapabilities,
} from '../../../test/support/scripted-pop3.ts';
import { allMails, mail, never } from '../../../test/support/store-helpers.ts';
import { BrokenMail, type MailContent } from '../mail-content.ts';
import type { FetchedMail, StoreError, StoreSession } from '../store.ts';

let server: ScriptedPop3 | undefined;
let session: StoreSession | undefined;
afterEach(async () => {
  await session?.close();
  await server?.stop();
  session = undefined;
  server = undefined;
});

const small = ['one', 'two', 'three'].map((subject) => ({ uidl: `id-${subject}`, bytes: mail(subject) }));
const large = [{ uidl: 'id-large', bytes: Buffer.concat([mail('large'), Buffer.alloc(399_999, 'x\r\n')]) }];

interface Serving {
  readonly script: Pop3Script;
  readonly mails?: typeof small;
  readonly pipelining?: boolean;
}

async function fetched({ script, mails = small, pipelining = true }: Serving): Promise<readonly FetchedMail[]> {
  const capabilities = usualCapabilities.filter((name) => pipelining || name !== 'PIPELINING');
  server = await startScriptedPop3({ script, mails, capabilities });
  session = await pop3Store({ port: server.port, tls: { starttls: 'never' }, timeout: 60_000 }).open({ signal: never });
  const listed = await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
  const found: FetchedMail[] = [];
  for await (const one of session.fetch(listed, { signal: never })) {
    if (one.content.kind !== 'stream') {
      found.push(one);
      continue;
    }
    const bytes = Buffer.concat(await one.content.stream.toArray());
    const { doubt } = one.content;
    found.push({ mail: one.mail, content: { kind: 'bytes', bytes, ...(doubt ? { doubt } : {}) } });
  }
  return found;
}

const answer = (bytes: Buffer) => `+OK\r\n${bytes.toString('latin1')}.\r\n`;
const doubtOf = (content: MailContent | undefined) => (content?.kind === 'bytes' ? content.doubt?.() : content?.kind);
const failure = (fetching: Promise<unknown>): Promise<StoreError> =>
  fetching.then(
    () => expect.unreachable('it must fail'),
    (error: StoreError) => error,
  );

describe.each([
  ['small', small, true],
  ['small, without pipelining', small, false],
  ['large', large, true],
] as const)('mail that is %s', (_, mails, pipelining) => {
  it('shorter than LIST says is doubtful; otherwise, and with dots counted twice, it is not', async () => {
    const [wanted] = mails;
    const bytes = wanted?.bytes ?? Buffer.alloc(0);
    const size = (octets: number): Pop3Script => ({
      LIST: (line) => (line === 'LIST 1' ? `+OK 1 ${octets}\r\n` : 'ordinary'),
    });
    const serve = async (script: Pop3Script, all: readonly { uidl: string; bytes: Buffer }[] = mails) =>
      (await fetched({ script, mails: [...all], pipelining }))[0]?.content;
    expect(doubtOf(await serve(size(bytes.length + 29)))).toBe('cutShort');
    await server?.stop();
    expect(doubtOf(await serve(size(bytes.length)))).toBeUndefined();
    await server?.stop();
    expect(doubtOf(await serve(size(bytes.length - 29)))).toBeUndefined();
    await server?.stop();
    const dotted = { uidl: 'id-dots', bytes: Buffer.concat([bytes, Buffer.from('.a\r\n.b\r\n')]) };
    expect(doubtOf(await serve(size(dotted.bytes.length + 2), [dotted]))).toBeUndefined();
    await server?.stop();
    const greeting = { GREETING: () => '+OK The Microsoft Exchange POP3 service is ready.\r\n' };
    expect(doubtOf(await serve({ ...size(bytes.length + 29), ...greeting }))).toBeUndefined();
  });

  it('alone, shorter than LIST says and followed by nonsense, is broken', async () => {
    const script: Pop3Script = {
      RETR: (line) => (line === 'RETR 1' ? `${answer(Buffer.from('Subject: cut\r\n'))}the rest of it\r\n` : 'ordinary'),
    };
    const alone = fetched({ script, mails: mails.slice(0, 1), pipelining });
    // Of a stream it is reported at its end.
    const reason = await alone.then(
      ([one]) => one?.content.kind === 'broken' && one.content.reason,
      (error: unknown) => error instanceof BrokenMail && error.reason,
    );
    expect(reason).toBe('cutShort');
  });
});

describe('answers out of step', () => {
  it.each([true, false])('a mail cut short among others breaks the line (pipelining: %s)', async (pipelining) => {
    const script: Pop3Script = {
      RETR: (line) => (line === 'RETR 1' ? `${answer(Buffer.from('Subject: cut\r\n'))}the rest of it\r\n` : 'ordinary'),
    };
    expect(await failure(fetched({ script, mails: [...small], pipelining }))).toMatchObject({ kind: 'protocol' });
  });

  it.each([true, false])(
    'an answer given twice is not taken for the next mail (pipelining: %s)',
    async (pipelining) => {
      let asked = 0;
      const script: Pop3Script = {
        RETR: (line) => {
          const bytes = small[Number(line.split(' ')[1]) - 1]?.bytes ?? Buffer.alloc(0);
          asked += 1;
          return asked === 1 ? answer(bytes) + answer(bytes) : answer(bytes);
        },
      };
      expect(await failure(fetched({ script, pipelining }))).toMatchObject({ kind: 'protocol' });
    },
  );

  it('an answer before its command is not taken for its answer', async () => {
    const script: Pop3Script = { LIST: (line) => (line === 'LIST 3' ? '+OK 3 100\r\n+OK here\r\n' : 'ordinary') };
    expect(await failure(fetched({ script, pipelining: false }))).toMatchObject({
      kind: 'protocol',
      code: 'OUT_OF_STEP',
    });
  });

  const many = Array.from({ length: 70 }, (_, n) => ({ uidl: `id-${n}`, bytes: mail(`mail ${n}`) }));

  it.each([
    ['few', small],
    ['many', many],
  ])('a server that knows UIDL for all mails only is served without the check: %s mails', async (_, mails) => {
    const script: Pop3Script = { UIDL: (line) => (line.includes(' ') ? '-ERR no arguments\r\n' : 'ordinary') };
    const kinds = (await fetched({ script, mails })).map(({ content }) => content.kind);
    expect(kinds).toEqual(mails.map(() => 'bytes'));
    expect(server?.lines().filter((line) => line.startsWith('UIDL '))).toHaveLength(1);
  });

  it('whether a server can be checked is asked with the sizes of many mails: no question more', async () => {
    await fetched({ script: {}, mails: many });
    const asked = server?.lines().filter((line) => /^(LIST|UIDL|RETR (1|64|65|70)$)/.test(line));
    expect(asked).toEqual(['UIDL', 'LIST', 'UIDL 70', 'RETR 1', 'RETR 64', 'UIDL 64', 'RETR 65', 'RETR 70', 'UIDL 70']);
  });

  it('is checked by the last mail that has an id', async () => {
    await fetched({ script: {}, mails: [...many, { uidl: 'x'.repeat(501), bytes: mail('without an id') }] });
    expect(server?.lines().find((line) => line.startsWith('UIDL '))).toBe('UIDL 70');
  });

  it('a server that refuses the sizes of many mails fails the listing, and the session goes on', async () => {
    let refused = 0;
    const script: Pop3Script = { LIST: () => (refused++ === 0 ? '-ERR [SYS/TEMP] not now\r\n' : 'ordinary') };
    expect(await failure(fetched({ script, mails: many }))).toMatchObject({ code: 'SYS/TEMP' });
    const listed = session && (await allMails(session.list('INBOX', { signal: never, pageSize: 10 })));
    expect([listed?.length, server?.sessions()]).toEqual([70, 1]);
  });
});
