import { afterEach, describe, expect, it } from 'vitest';
import { graphStoreConfig } from '../../test/support/graph-fixture.ts';
import { imapConfig } from '../../test/support/imap-fixture.ts';
import { onThisMachine } from '../../test/support/on-this-machine.ts';
import { pop3Store } from '../../test/support/pop3-fixture.ts';
import {
  startScriptedServer,
  startTestEntra,
  testSecret,
  trustTestServers,
} from '../../test/support/scripted-graph.ts';
import { startScriptedImap } from '../../test/support/scripted-imap.ts';
import { startScriptedPop3, usualCapabilities } from '../../test/support/scripted-pop3.ts';
import { never } from '../../test/support/store-helpers.ts';
import { inLogScope } from '../platform/log.ts';
import { dialogueOf } from './dialogue.ts';
import { createGraphStore } from './graph/store/graph-store.ts';
import { createImapStore } from './imap/store/imap-store.ts';
import type { MailStore } from './store.ts';

/** Holds what IMAP, JSON and URLs escape, and a letter of two octets. */
const password = 'Sw0rd"f\\i&shé-zz';
const base64 = (text: string) => Buffer.from(text).toString('base64');

const forms: readonly string[] = [
  password,
  password.toUpperCase(),
  `"${password.replace(/["\\]/g, '\\$&')}"`,
  JSON.stringify(password),
  base64(password),
  base64(`\0tester\0${password}`),
  encodeURIComponent(password),
];
/** What is left of the password in any of the forms, whatever became of its odd characters. */
const traces = [/sw0rd/i, /shé|sh\u00c3|sh%c3/i, new RegExp(base64('Sw0rd"f').slice(0, 9), 'i')];

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

/** Everything that Mailroom says of opening a session and looking into it: the error, and the dialogue in the log. */
async function wordsOf(storeWith: (debug: ReturnType<typeof dialogueOf>) => MailStore): Promise<string> {
  const words: string[] = [];
  await inLogScope({ sink: (_, line) => words.push(line) }, async () => {
    try {
      const session = await storeWith(dialogueOf({ name: 'corpus', debug: true }, 'any')).open({ signal: never });
      try {
        for await (const _ of session.list('INBOX', { signal: never, pageSize: 10 }));
      } finally {
        await session.close();
      }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error('no error');
      words.push(JSON.stringify(error), error.message, error.stack ?? '', JSON.stringify(error.cause ?? ''));
      // What stands in JSON is read as well.
      words.push(JSON.stringify(Object.values(error)));
    }
  });
  return words.join('\n');
}

function expectSilence(words: string): void {
  expect(words).toContain('debug.dialogue');
  for (const trace of traces) expect(words).not.toMatch(trace);
}

const echoes = forms.flatMap((form): [string, (tag: string) => string][] => [
  [`${form} in its answer`, (tag) => `${tag} NO you sent ${form}\r\n`],
  [`${form} as its code`, (tag) => `${tag} NO [${form}] no\r\n`],
  [`${form} untagged`, (tag) => `* NO ${form}\r\n* OK [ALERT] ${form}\r\n${tag} NO no\r\n`],
  [`${form} in a farewell`, () => `* BYE ${form}\r\n`],
  [`${form} where no IMAP is`, () => `${form} ${form}\r\n`],
]);

describe.each(['LOGIN', 'AUTHENTICATE', 'EXAMINE'])('an IMAP server that gives the password back to %s', (command) => {
  it.each(echoes)('%s', async (_, echo) => {
    const way = command === 'AUTHENTICATE' ? ' AUTH=PLAIN SASL-IR' : '';
    const server = await startScriptedImap({
      CAPABILITY: (tag) => `* CAPABILITY IMAP4rev1${way}\r\n${tag} OK done\r\n`,
      [command]: echo,
    });
    stop = server.stop;
    const settings = imapConfig({ port: server.port, tls: { starttls: 'never' }, timeout: 500 });
    expectSilence(
      await wordsOf((debug) => createImapStore(settings, { secret: async () => password, ...onThisMachine, ...debug })),
    );
  });
});

it.each(forms)('an IMAP server that has a folder called by the password: %s', async (form) => {
  const server = await startScriptedImap({
    EXAMINE: (tag) => `${tag} NO no\r\n`,
    LIST: (tag) =>
      `* LIST () "/" {${Buffer.byteLength(form)}}\r\n${form}\r\n* LIST () "/" Archive\r\n${tag} OK done\r\n`,
  });
  stop = server.stop;
  const settings = imapConfig({ port: server.port, tls: { starttls: 'never' }, timeout: 5_000 });
  const words = await wordsOf((debug) =>
    createImapStore(settings, { secret: async () => password, ...onThisMachine, ...debug }),
  );
  expect(words).toContain('Archive');
  expectSilence(words);
});

describe.each(['USER', 'PASS', 'AUTH', 'STAT'])('a POP3 server that gives the password back to %s', (command) => {
  it.each(forms)('%s', async (form) => {
    for (const answer of [`-ERR you sent ${form}`, `-ERR [${form}] no`, `+ ${form}`, `${form} ${form}`]) {
      const capabilities = command === 'AUTH' ? ['UIDL', 'SASL PLAIN'] : usualCapabilities;
      const server = await startScriptedPop3({
        capabilities,
        script: { [command]: () => Buffer.from(`${answer}\r\n`, 'utf8') },
      });
      stop = server.stop;
      const settings = { port: server.port, tls: { starttls: 'never' }, timeout: 500 };
      expectSilence(await wordsOf((debug) => pop3Store(settings, { secret: async () => password, ...debug })));
      await server.stop();
    }
  });
});

describe('Graph that gives the token back', () => {
  it.each<readonly [string, (token: string) => string]>([
    ['whole', (token) => token],
    ['as one of its parts', (token) => token.split('.')[1]?.slice(0, 60) ?? ''],
    ['in part', (token) => token.slice(20, 60).replace(/[^\w]/g, '.')],
    ['in base64', (token) => base64(token).slice(0, 64)],
    ['in capitals', (token) => token.slice(0, 70).toUpperCase()],
  ])('%s: in code, words and request-id', async (_, form) => {
    let token = '';
    const server = await startScriptedServer((request, response) => {
      token = String(request.headers.authorization).replace('Bearer ', '');
      const reported = form(token);
      response.writeHead(400, { 'content-type': 'application/json', 'request-id': reported.slice(0, 90) });
      const innerError = { 'request-id': reported.slice(0, 90) };
      response.end(
        JSON.stringify({ error: { code: reported.slice(0, 79), message: `You sent ${reported}`, innerError } }),
      );
    });
    trustTestServers();
    const entra = await startTestEntra();
    stop = async () => {
      await entra.stop();
      await server.stop();
    };
    const overrides = { graphEndpoint: server.origin, authorityHost: entra.authorityHost };
    const context = { secret: async () => testSecret, overrides };
    const words = await wordsOf((debug) => createGraphStore(graphStoreConfig({}), { ...context, ...debug }));
    expect(token.length).toBeGreaterThan(100);
    for (const trace of [form(token).slice(0, 30), form(token).slice(5, 25)]) expect(words).not.toContain(trace);
  });
});
