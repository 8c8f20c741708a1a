import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { serverCertificate, startScriptedServer, startTestEntra } from '../../test/support/scripted-graph.ts';
import { type ImapScript, startScriptedImap } from '../../test/support/scripted-imap.ts';
import { type Pop3Script, startScriptedPop3, usualCapabilities } from '../../test/support/scripted-pop3.ts';
import { mail } from '../../test/support/store-helpers.ts';

const client = fileURLToPath(new URL('../../test/support/flooded-client.ts', import.meta.url));
/** What a client needs to be loaded at all, and some megabytes. */
const heapMegabytes = 96;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** What a client with a small heap says; fails where it ends by itself. */
async function reported(...args: readonly string[]): Promise<{ kind?: string; code?: string; octets?: number }> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [`--max-old-space-size=${heapMegabytes}`, client, ...args],
    { timeout: 150_000 },
  );
  return JSON.parse(stdout);
}

const million = 1_000_000;
/** `text` again and again, as many megabytes. */
const megabytes = (count: number, text: string) => Buffer.alloc(count << 20, text);
const row = (items: string) => `* 1 FETCH (UID 1 RFC822.SIZE 24 ${items})\r\n`;
const numbers = Buffer.concat([Buffer.from('* SEARCH'), Buffer.alloc(8 * 5 * million, ' 1234567')]);
const full = '* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 4000000000] ok\r\n';

const after = (flood: Buffer | string) => (tag: string) =>
  Buffer.concat([Buffer.from(flood), Buffer.from(`\r\n${tag} OK done\r\n`)]);

const imapFloods: readonly [string, ImapScript][] = [
  ['five million numbers in one SEARCH', { 'UID SEARCH': after(numbers) }],
  ['a hundred megabytes of short SEARCH answers', { 'UID SEARCH': after(megabytes(100, '* SEARCH 1 2 3\r\n')) }],
  ['lists a million deep', { 'UID FETCH': after(row(`FLAGS ${'('.repeat(million)}${')'.repeat(million)}`)) }],
  ['lists that fit a line, and are as deep', { 'UID FETCH': after(row(`FLAGS ${'('.repeat(450_000)}`)) }],
  ['a million flags', { 'UID FETCH': after(row(`FLAGS (${'a '.repeat(million)})`)) }],
  [
    'folders without end',
    { LIST: after(megabytes(60, '* LIST () "/" "a folder of many"\r\n')), EXAMINE: (tag) => `${tag} NO no\r\n` },
  ],
  ['untagged answers without end', { EXAMINE: () => megabytes(100, '* 1 EXISTS\r\n') }],
  ['a line without end', { EXAMINE: () => megabytes(100, '* OK and so on ') }],
  ['capabilities without end', { CAPABILITY: () => megabytes(100, '* CAPABILITY IMAP4rev1 X1 X2\r\n') }],
  [
    'many mails instead of one',
    {
      EXAMINE: (tag) => `${full}${tag} OK done\r\n`,
      'UID FETCH': (tag, line) =>
        line.includes('BODY.PEEK[]')
          ? Buffer.concat(
              Array.from({ length: 12 }, () =>
                Buffer.concat([
                  Buffer.from('* 1 FETCH (UID 1 BODY[] {12000000}\r\n'),
                  Buffer.alloc(12_000_000, 'x'),
                  Buffer.from(')\r\n'),
                ]),
              ),
            )
          : `${row('FLAGS ()')}${tag} OK done\r\n`,
    },
  ],
];

it.each(imapFloods)(
  'an IMAP server that sends %s ends its connection, not the process',
  { timeout: 180_000 },
  async (_, script) => {
    const server = await startScriptedImap(script);
    stops.push(server.stop);
    expect(await reported('imap', String(server.port))).toMatchObject({ kind: 'protocol' });
  },
);

const pop3Floods: readonly [string, Pop3Script, (readonly string[])?][] = [
  [
    'a hundred million mails and no UIDL',
    { STAT: () => '+OK 100000000 1\r\n', UIDL: () => '-ERR unknown command\r\n' },
    ['TOP', 'USER'],
  ],
  [
    'UIDL without end',
    { UIDL: () => Buffer.concat([Buffer.from('+OK\r\n'), megabytes(100, '1 an-id-of-a-mail\r\n')]) },
  ],
  ['CAPA without end', { CAPA: () => Buffer.concat([Buffer.from('+OK\r\n'), megabytes(100, 'TOP\r\n')]) }],
  ['a line without end', { STAT: () => megabytes(100, '+OK and so on ') }],
];

it.each(pop3Floods)(
  'a POP3 server that sends %s ends its connection, not the process',
  { timeout: 180_000 },
  async (_, script, capabilities = usualCapabilities) => {
    const server = await startScriptedPop3({ script, capabilities, mails: [{ uidl: 'one', bytes: mail('one') }] });
    stops.push(server.stop);
    expect(await reported('pop3', String(server.port))).toMatchObject({ kind: 'protocol' });
  },
);

it('a POP3 server that sends a header without end does not end the process', { timeout: 180_000 }, async () => {
  const script = { TOP: () => Buffer.concat([Buffer.from('+OK\r\n'), megabytes(200, 'Subject: x\r\n')]) };
  const bytes = mail('one');
  const server = await startScriptedPop3({ script, mails: [{ uidl: 'one', bytes }] });
  stops.push(server.stop);
  expect(await reported('pop3', String(server.port))).toEqual({ octets: bytes.length });
});

it.each([
  [
    'lists ten million deep',
    Buffer.concat([
      Buffer.from('{"value":'),
      Buffer.alloc(10 * million, '['),
      Buffer.alloc(10 * million, ']'),
      Buffer.from('}'),
    ]),
  ],
  [
    'ten million numbers',
    Buffer.concat([Buffer.from('{"value":[0'), Buffer.alloc(20 * million, ',0'), Buffer.from(']}')]),
  ],
  ['more than an answer may have', megabytes(100, '{"value":[]} ')],
])('Graph that sends %s fails the call, not the process', { timeout: 180_000 }, async (_, body) => {
  const [server, entra] = await Promise.all([
    startScriptedServer((__, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(body);
    }),
    startTestEntra(),
  ]);
  stops.push(server.stop, entra.stop);
  const args = ['graph', server.origin, entra.authorityHost ?? '', serverCertificate.ca];
  expect(await reported(...args)).toMatchObject({ kind: 'protocol' });
});
