import { afterEach, expect, it } from 'vitest';
import { eventually, frozenMail, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { type Script, type ScriptedSmtp, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import type { MailTransport } from '../transport.ts';
import { createSmtpTransport, type TransportContext } from './smtp-transport.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start(
  context: Partial<TransportContext>,
  script: Script = {},
): Promise<{ server: ScriptedSmtp; transport: MailTransport }> {
  const server = await startScriptedSmtp(script);
  const transport = createSmtpTransport(smtpConfig({ port: server.port }), {
    ...onThisMachine,
    secret: async () => '',
    maxConnections: 2,
    ...context,
  });
  cleanUp.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

const send = async (transport: MailTransport) => outcomes(await transport.send(frozenMail(), sendOptions()));

it('says goodbye to a connection that has been idle', async () => {
  const { transport, server } = await start({ idleMs: 50 });
  await send(transport);
  await eventually('the idle connection ends', () => server.openConnections() === 0);
  expect(server.commands.at(-1)).toBe('QUIT');
  expect(await send(transport)).toEqual(['accepted']);
  expect(server.connections()).toBe(2);
});

it('cuts a connection whose server does not say goodbye', async () => {
  const { transport, server } = await start(
    { idleMs: 50 },
    { answer: (step) => (step === 'QUIT' ? { next: 'silent' } : undefined) },
  );
  await send(transport);
  await eventually('the idle connection ends', () => server.openConnections() === 0);
});

it('changes the connection after a hundred mails', async () => {
  const { transport, server } = await start({ maxConnections: 1 });
  for (let count = 0; count < 101; count++) await send(transport);
  expect(server.mails).toHaveLength(101);
  expect(server.connections()).toBe(2);
});

it('never has more connections open than it may', async () => {
  let most = 0;
  const { transport, server } = await start(
    { maxConnections: 3 },
    {
      answer: (step) => {
        most = Math.max(most, server.openConnections());
        return step === 'RCPT' && server.commands.length % 5 === 0 ? '550 5.1.1 no' : undefined;
      },
    },
  );
  const sends = await Promise.all(Array.from({ length: 60 }, () => send(transport)));
  expect(sends.flat().every((outcome) => outcome === 'accepted' || outcome === 'rejected')).toBe(true);
  expect(most).toBe(3);
  expect(server.connections()).toBe(3);
});

it('loses and doubles nothing while connections go stale under load', async () => {
  let mails = 0;
  const { transport, server } = await start(
    { maxConnections: 3, idleMs: 5 },
    {
      answer: (step) => {
        if (step === 'MAIL') mails += 1;
        return step === 'MAIL' && mails % 7 === 0 ? { reply: '421 4.4.2 idle', next: 'cut' } : undefined;
      },
    },
  );
  let accepted = 0;
  for (let round = 0; round < 10; round++) {
    const sends = await Promise.all(Array.from({ length: 8 }, () => send(transport)));
    accepted += sends.flat().filter((outcome) => outcome === 'accepted').length;
  }
  expect(server.mails).toHaveLength(accepted);
  expect(new Set(server.mails.map(({ text }) => text.toString())).size).toBe(accepted);
  expect(accepted).toBeGreaterThan(60);
});

it('lets a send that waits for a connection be stopped, and keeps the others’ turns', async () => {
  let silent = true;
  const { transport, server } = await start(
    { maxConnections: 1 },
    {
      answer: (step, _line, connection) =>
        step === 'MAIL' && silent && connection === 1 ? { next: 'silent' } : undefined,
    },
  );
  const stopFirst = new AbortController();
  const first = transport.send(frozenMail(), sendOptions({ signal: stopFirst.signal }));
  await eventually('the first has the connection', () => server.commands.length > 1);
  const second = transport.send(frozenMail(), sendOptions({ signal: AbortSignal.timeout(50) }));
  const third = transport.send(frozenMail(), sendOptions());
  expect(outcomes(await second)).toEqual(['deferred']);
  silent = false;
  stopFirst.abort();
  expect(outcomes(await first)).toEqual(['deferred']);
  expect(outcomes(await third)).toEqual(['accepted']);
  expect(server.mails).toHaveLength(1);
});
