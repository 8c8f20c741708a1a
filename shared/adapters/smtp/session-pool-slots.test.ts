import { afterEach, expect, it } from 'vitest';
import { eventually, frozenMail, outcomes, sendOptions } from '../../../test/contract/transport.contract.ts';
import { onThisMachine } from '../../../test/support/on-this-machine.ts';
import { type Places, placesOf } from '../../../test/support/places.ts';
import { type Script, type ScriptedSmtp, startScriptedSmtp } from '../../../test/support/scripted-smtp.ts';
import { smtpConfig } from '../../../test/support/smtp-subject.ts';
import type { MailTransport } from '../transport.ts';
import { createSmtpTransport } from './smtp-transport.ts';

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start(places: Places, script: Script = {}): Promise<{ server: ScriptedSmtp; transport: MailTransport }> {
  const server = await startScriptedSmtp(script);
  const { slots } = places;
  const context = { ...onThisMachine, secret: async () => '', maxConnections: 5, slots };
  const transport = createSmtpTransport(smtpConfig({ port: server.port }), context);
  cleanUp.push(
    () => server.stop(),
    () => transport.close(),
  );
  return { server, transport };
}

const send = (transport: MailTransport) => transport.send(frozenMail(), sendOptions());

it('opens nothing without a place, and says that this was no attempt and when to come again', async () => {
  const { transport, server } = await start(placesOf(0));
  const receipt = await send(transport);
  expect(outcomes(receipt)).toEqual(['deferred']);
  expect(receipt.trouble).toMatchObject({ scope: 'limit', code: 'NO_CONNECTION_FREE', retryAfterMs: 3_000 });
  expect(server.connections()).toBe(0);
});

it('sends everything over the places it gets, fewer than it would like', async () => {
  const places = placesOf(2);
  const { transport, server } = await start(places);
  const receipts = await Promise.all(Array.from({ length: 40 }, () => send(transport)));
  expect(receipts.flatMap(outcomes)).toEqual(Array.from({ length: 40 }, () => 'accepted'));
  expect(server.connections()).toBe(2);
  expect(places.most()).toBe(2);
});

it('holds a place as long as its connection is open, idle included, and no longer', async () => {
  const places = placesOf(2);
  const { transport } = await start(places);
  await send(transport);
  expect(places.free()).toBe(1);
  await transport.close();
  expect(places.free()).toBe(2);
});

it('gives the place back when the connection cannot be opened, or the server ends it', async () => {
  const places = placesOf(1);
  let refusing = true;
  const { transport } = await start(places, {
    answer: (step) => {
      if (step === 'GREETING' && refusing) return '554 5.7.1 no';
      return step === 'END' ? { reply: '250 2.0.0 kept', next: 'cut' } : undefined;
    },
  });
  expect(outcomes(await send(transport))).toEqual(['deferred']);
  expect(places.free()).toBe(1);
  refusing = false;
  expect(outcomes(await send(transport))).toEqual(['accepted']);
  await eventually('the place is free', () => places.free() === 1);
});

it('ends idle connections that others want', async () => {
  const places = placesOf(3);
  const { transport, server } = await start(places);
  await Promise.all([send(transport), send(transport), send(transport)]);
  await eventually('all three are idle', () => server.openConnections() === 3);
  places.want(2);
  await eventually('two ended', () => places.free() === 2);
  expect(server.commands.filter((command) => command === 'QUIT')).toHaveLength(2);
  expect(outcomes(await send(transport))).toEqual(['accepted']);
  expect(server.connections()).toBe(3);
});

it('ends a connection that others want behind the mail that it carries', async () => {
  const places = placesOf(1);
  const { transport, server } = await start(places);
  const sending = send(transport);
  await eventually('the mail is under way', () => server.connections() === 1);
  places.want(1);
  expect(outcomes(await sending)).toEqual(['accepted']);
  await eventually('the place is free', () => places.free() === 1);
});

it('cuts a connection whose place is lost before its mail can leave', async () => {
  const places = placesOf(1);
  const { transport, server } = await start(places, {
    answer: (step) => {
      if (step === 'RCPT') places.lose();
      return undefined;
    },
  });
  const options = sendOptions();
  const receipt = await transport.send(frozenMail(), options);
  expect(outcomes(receipt)).toEqual(['deferred']);
  expect(receipt.trouble?.scope).toBe('connection');
  expect([options.commits(), server.mails.length]).toEqual([0, 0]);
  await eventually('the connection is gone', () => server.openConnections() === 0);
});

it('cuts an idle connection whose place is lost', async () => {
  const places = placesOf(1);
  const { transport, server } = await start(places);
  await send(transport);
  places.lose();
  await eventually('the connection is gone', () => server.openConnections() === 0);
  expect(outcomes(await send(transport))).toEqual(['accepted']);
});
