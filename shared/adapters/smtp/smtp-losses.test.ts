import net from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, frozenMail, longBody, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { type Script, type ScriptedSmtp, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import { turns } from '../../../test/support/turns.ts';
import type { FrozenMail, MailTransport } from '../transport.ts';
import { createSmtpTransport } from './smtp-transport.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start(
  script: Script,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<{ server: ScriptedSmtp; transport: MailTransport }> {
  const server = await startScriptedSmtp(script);
  const transport = createSmtpTransport(smtpConfig({ port: server.port, ...fields }), {
    ...onThisMachine,
    secret: async () => 'swordfish',
    maxConnections: 2,
  });
  cleanUp.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

const quiet = { next: 'silent' } as const;
const cut = { next: 'cut' } as const;
const auth = { auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' }, tls: { starttls: 'never' } };
const extensions = ['PIPELINING', '8BITMIME', 'AUTH PLAIN'];

/** Where a server may go away, and what that means for the mail: only behind the final dot is it in doubt. */
const places = [
  ['GREETING', 'deferred'],
  ['EHLO', 'deferred'],
  ['AUTH', 'deferred'],
  ['MAIL', 'deferred'],
  ['RCPT', 'deferred'],
  ['DATA', 'deferred'],
  ['TEXT', 'deferred'],
  ['END', 'uncertain'],
] as const;

/** More than sockets hold, so that a server which stops reading stops the sender. */
const big = () => frozenMail({ body: longBody(12_000_000) });

describe('a server that refuses the sender, and goes away before it has answered what was sent along', () => {
  const places = [
    ['RCPT', cut],
    ['RCPT', quiet],
    ['RCPT', '421 4.3.2 closing'],
    ['DATA', cut],
    ['DATA', quiet],
    ['DATA', '421 4.3.2 closing'],
  ] as const;
  const refusals = [
    ['451 4.3.0 try later', 'deferred'],
    ['550 5.7.1 sender not allowed', 'rejected'],
  ] as const;

  it.each(refusals.flatMap((refusal) => places.map((place) => [...refusal, ...place] as const)))(
    '%s: %s, whatever comes at %s (%o)',
    async (refusal, outcome, place, answer) => {
      const { transport } = await start(
        {
          answer: (step) => {
            if (step === 'MAIL') return refusal;
            if (step === place) return answer;
            // Out of turn without a sender (RFC 5321 section 4.1.4), and no verdict on the recipient.
            return step === 'RCPT' || step === 'DATA' ? '503 5.5.1 MAIL comes first' : undefined;
          },
        },
        { timeout: 1_500 },
      );
      const receipt = await transport.send(frozenMail(), sendOptions());
      expect(receipt.recipients).toMatchObject([{ outcome, code: refusal.slice(0, 3) }]);
    },
  );
});

describe('a server that goes silent', () => {
  it.each(places)('at %s: the limit between two bytes ends it, %s', async (place, outcome) => {
    const { transport, server } = await start(
      { extensions, answer: (step) => (step === place ? quiet : undefined) },
      { ...auth, timeout: 1_500 },
    );
    const began = Date.now();
    const options = sendOptions();
    const receipt = await transport.send(place === 'TEXT' ? stopping(server) : frozenMail(), options);
    expect(outcomes(receipt)).toEqual([outcome]);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ETIMEDOUT' });
    expect(receipt.trouble?.hint).toBeTruthy();
    expect(options.commits()).toBe(outcome === 'uncertain' ? 1 : 0);
    expect(Date.now() - began).toBeGreaterThanOrEqual(200);
    expect(Date.now() - began).toBeLessThan(30_000);
    expect(server.mails).toHaveLength(place === 'END' ? 1 : 0);
    await eventually('the connection ends', () => server.openConnections() === 0);
  });

  it.each(places)('at %s, where the account sets no limits: the signal ends it, %s', async (place, outcome) => {
    const { transport, server } = await start(
      { extensions, answer: (step) => (step === place ? quiet : undefined) },
      { ...auth, timeout: 0, connectionTimeout: 0 },
    );
    const began = Date.now();
    const options = sendOptions({ signal: AbortSignal.timeout(1_500) });
    const receipt = await transport.send(place === 'TEXT' ? stopping(server) : frozenMail(), options);
    expect(outcomes(receipt)).toEqual([outcome]);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ABORTED' });
    expect(options.commits()).toBe(outcome === 'uncertain' ? 1 : 0);
    expect(Date.now() - began).toBeLessThan(30_000);
    await eventually('the connection ends', () => server.openConnections() === 0);
  });

  /** The server has part of the text and answers no more; the rest of the text never comes. */
  function stopping(server: ScriptedSmtp): FrozenMail {
    const mail = frozenMail({ body: longBody(100_000) });
    async function* half() {
      yield mail.text.subarray(0, 50_000);
      await new Promise<void>((_, reject) => {
        const timer = setInterval(() => {
          if (server.openConnections() > 0) return;
          clearInterval(timer);
          reject(new Error('nobody reads any more'));
        }, 10);
      });
    }
    return { ...mail, open: async () => Readable.from(half()) };
  }
});

describe('a TLS handshake that is not answered', () => {
  it('ends within connectionTimeout on smtps', async () => {
    const { transport, server } = await start({}, { protocol: 'smtps', connectionTimeout: 1_500, timeout: 0 });
    const silent = await startScriptedSmtp({ answer: () => quiet });
    const other = createSmtpTransport(smtpConfig({ protocol: 'smtps', port: silent.port, connectionTimeout: 1_500 }), {
      ...onThisMachine,
      secret: async () => '',
      maxConnections: 1,
    });
    cleanUp.push(
      () => silent.stop(),
      () => other.close(),
    );
    const receipt = await other.send(frozenMail(), sendOptions());
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ETIMEDOUT' });
    // A server that talks first in plain is distinguished from one that is silent.
    const plain = await transport.send(frozenMail(), sendOptions());
    expect(plain.trouble).toMatchObject({ scope: 'connection', code: 'ERR_SSL_WRONG_VERSION_NUMBER' });
    await eventually('the connections end', () => silent.openConnections() + server.openConnections() === 0);
  });

  it('ends within timeout after STARTTLS', async () => {
    const { transport, server } = await start(
      {
        extensions: ['STARTTLS'],
        answer: (step) => (step === 'STARTTLS' ? { reply: '220 go on', next: 'silent' } : undefined),
      },
      { timeout: 1_500 },
    );
    const receipt = await transport.send(frozenMail(), sendOptions());
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ETIMEDOUT' });
    await eventually('the connection ends', () => server.openConnections() === 0);
  });
});

describe('a server that stops reading in the middle of a large mail', () => {
  it('ends within the limit and is not committed to', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.write('220 hi\r\n');
      socket.on('data', (chunk) => {
        const line = chunk.toString();
        if (line.startsWith('DATA')) {
          socket.pause();
          socket.write('354 go on\r\n');
        } else socket.write('250 ok\r\n');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address !== 'string' ? address.port : 0;
    const transport = createSmtpTransport(smtpConfig({ port, timeout: 400 }), {
      ...onThisMachine,
      secret: async () => '',
      maxConnections: 1,
    });
    cleanUp.push(async () => {
      await transport.close();
      server.close();
    });
    const options = sendOptions();
    const receipt = await transport.send(big(), options);
    expect(receipt.trouble).toMatchObject({ scope: 'connection', code: 'ETIMEDOUT' });
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(options.commits()).toBe(0);
  });
});

describe('a server that cuts the connection', () => {
  it.each(places)('at %s: %s', async (place, outcome) => {
    const { transport, server } = await start(
      { extensions, answer: (step) => (step === place ? cut : undefined) },
      auth,
    );
    const options = sendOptions();
    const receipt = await transport.send(place === 'TEXT' ? big() : frozenMail(), options);
    expect(outcomes(receipt)).toEqual([outcome]);
    expect(receipt.trouble?.scope).toBe('connection');
    expect(receipt.trouble?.hint).toBeTruthy();
    expect(options.commits()).toBe(outcome === 'uncertain' ? 1 : 0);
    expect(server.connections()).toBe(1);
    expect(server.mails).toHaveLength(place === 'END' ? 1 : 0);
  });

  it.each(['250 2.0.0 ke', '550 5.7.1 sp'])('in the middle of its last reply (%s): uncertain', async (words) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.write('220 hi\r\n');
      let inText = false;
      socket.on('data', (chunk) => {
        if (chunk.toString().startsWith('DATA')) {
          inText = true;
          socket.write('354 go on\r\n');
        } else if (!inText) socket.write('250 ok\r\n');
        else if (chunk.toString().endsWith('\r\n.\r\n') || chunk.toString() === '.\r\n') socket.end(words);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address !== 'string' ? address.port : 0;
    const transport = createSmtpTransport(smtpConfig({ port }), {
      ...onThisMachine,
      secret: async () => '',
      maxConnections: 1,
    });
    cleanUp.push(async () => {
      await transport.close();
      server.close();
    });
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['uncertain']);
  });
});

describe('an idle connection that died', () => {
  it.each([
    ['cut at the next MAIL', cut],
    ['closed with 421', { reply: '421 4.4.2 idle for too long', next: 'cut' }],
    ['out of step', '503 5.5.1 nested MAIL'],
  ] as const)('%s is replaced at once, and the mail leaves once', async (_name, answer) => {
    let mails = 0;
    const { transport, server } = await start({
      answer: (step, _line, connection) => {
        if (step === 'MAIL') mails += 1;
        return step === 'MAIL' && connection === 1 && mails > 1 ? answer : undefined;
      },
    });
    await transport.send(frozenMail(), sendOptions());
    const options = sendOptions();
    const mail = frozenMail();
    expect(outcomes(await transport.send(mail, options))).toEqual(['accepted']);
    expect(options.commits()).toBe(1);
    expect(server.connections()).toBe(2);
    expect(server.mails.filter(({ text }) => text.equals(mail.text))).toHaveLength(1);
    expect(server.mails).toHaveLength(2);
  });

  it('is replaced where the server closed it while it was idle', async () => {
    const { transport, server } = await start({
      answer: (step, _line, connection) =>
        step === 'END' && connection === 1 ? { reply: '250 2.0.0 kept, and bye', next: 'cut' } : undefined,
    });
    await transport.send(frozenMail(), sendOptions());
    await eventually('the server closes it', () => server.openConnections() === 0);
    expect(outcomes(await transport.send(frozenMail(), sendOptions()))).toEqual(['accepted']);
    expect(server.connections()).toBe(2);
  });

  it('is replaced once only: a second loss is an answer', async () => {
    let lose = false;
    const { transport, server } = await start({ answer: (step) => (step === 'MAIL' && lose ? cut : undefined) });
    await transport.send(frozenMail(), sendOptions());
    lose = true;
    const options = sendOptions();
    expect(outcomes(await transport.send(frozenMail(), options))).toEqual(['deferred']);
    expect(server.connections()).toBe(2);
    expect(options.commits()).toBe(0);
  });

  it('is not replaced once the text was asked for', async () => {
    let texts = 0;
    const { transport, server } = await start({
      answer: (step) => {
        if (step === 'TEXT') texts += 1;
        return step === 'TEXT' && texts > 1 ? cut : undefined;
      },
    });
    await transport.send(frozenMail({ body: '' }), sendOptions());
    texts = 1;
    const receipt = await transport.send(big(), sendOptions());
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(server.connections()).toBe(1);
  });
});

describe('stopping while the commit is under way', () => {
  it('waits for the commit to settle, sends no end, and answers deferred', async () => {
    const { transport, server } = await start({});
    const stop = new AbortController();
    let settled = false;
    const options = sendOptions({
      signal: stop.signal,
      beforeCommit: async () => {
        stop.abort();
        await eventually('the connection ends', () => server.openConnections() === 0);
        settled = true;
      },
    });
    const receipt = await transport.send(frozenMail(), options);
    expect(settled).toBe(true);
    expect(outcomes(receipt)).toEqual(['deferred']);
    expect(receipt.trouble?.code).toBe('ABORTED');
    expect(server.mails).toEqual([]);
  });

  it('answers deferred when the server goes away meanwhile', async () => {
    const { transport, server } = await start({ answer: (step) => (step === 'TEXT' ? cut : undefined) });
    const options = sendOptions({
      beforeCommit: async () => {
        await eventually('the connection ends', () => server.openConnections() === 0);
        // The client hears of it in a later turn of the same loop.
        await turns();
      },
    });
    expect(outcomes(await transport.send(frozenMail({ body: longBody(50_000) }), options))).toEqual(['deferred']);
    expect(server.mails).toEqual([]);
  });
});
