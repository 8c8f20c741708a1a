import { afterEach, describe, expect, it } from 'vitest';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { placesOf } from '../../../../test/support/places.ts';
import { type ImapScript, type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import { allMails, never } from '../../../../test/support/store-helpers.ts';
import { isAcquired } from '../../../platform/acquired.ts';
import { limitedStore } from '../../connections/limited-store.ts';
import type { StoreError } from '../../store.ts';

let server: ScriptedImap | undefined;
afterEach(() => server?.stop());

const silent = () => undefined;

async function storeOf(script: ImapScript, settings: Readonly<Record<string, unknown>> = {}) {
  server = await startScriptedImap(script);
  return imapStore({ port: server.port, tls: { starttls: 'never' }, ...settings });
}

const failure = (promise: Promise<unknown>): Promise<StoreError> =>
  promise.then(
    () => expect.unreachable('it must not succeed'),
    (error: StoreError) => error,
  );

const nothingOpen = () => expect.poll(() => server?.openConnections()).toBe(0);

describe('a server that falls silent on an account without limits of its own', () => {
  const none = { timeout: 0, connectionTimeout: 0 };

  it.each<[string, ImapScript]>([
    ['at the greeting', { GREETING: silent }],
    ['at its capabilities', { GREETING: () => '* OK ready\r\n', CAPABILITY: silent }],
    ['at the sign-in', { LOGIN: silent }],
  ])('%s: the time of the caller ends it, and nothing stays open', async (_, script) => {
    const store = await storeOf(script, none);
    const error = await failure(store.open({ signal: AbortSignal.timeout(300) }));
    expect(error).toMatchObject({ name: 'StoreError', kind: 'connection', code: 'ABORT_ERR' });
    await nothingOpen();
  });

  it.each(['EXAMINE', 'UID SEARCH', 'UID FETCH'])('at %s: likewise', async (command) => {
    const store = await storeOf({ [command]: silent }, none);
    const session = await store.open({ signal: never });
    const listing = allMails(session.list('INBOX', { signal: AbortSignal.timeout(300), pageSize: 10 }));
    expect(await failure(listing)).toMatchObject({ kind: 'connection', code: 'ABORT_ERR' });
    await nothingOpen();
    await session.close();
  });
});

describe('a place for the connection of a session', () => {
  it('is asked for first: without one nothing is opened, and it says when to come again', async () => {
    const { slots } = placesOf(0);
    const error = await failure(limitedStore(await storeOf({}), slots).open({ signal: never }));
    expect(error).toMatchObject({ name: 'StoreError', kind: 'noConnection', retryAfterMs: 3_000 });
    expect(error.hint).toBeTruthy();
    expect(server?.commands()).toEqual([]);
  });

  it('is held as long as the session, and free behind it', async () => {
    const places = placesOf(1);
    const session = await limitedStore(await storeOf({}), places.slots).open({ signal: never });
    expect(places.free()).toBe(0);
    expect(isAcquired(await places.slots.acquire(never))).toBe(false);
    await session.close();
    expect(places.free()).toBe(1);
  });

  it('is given back where the session does not open', async () => {
    const places = placesOf(1);
    const store = await storeOf({ LOGIN: (tag) => `${tag} NO [AUTHENTICATIONFAILED] no\r\n` });
    expect(await failure(limitedStore(store, places.slots).open({ signal: never }))).toMatchObject({ kind: 'signIn' });
    expect(places.free()).toBe(1);
  });

  it('cuts the connection at once when it is lost, whatever the session is doing', async () => {
    const places = placesOf(1);
    const session = await limitedStore(await storeOf({}), places.slots).open({ signal: never });
    expect(server?.openConnections()).toBe(1);
    places.lose();
    await nothingOpen();
    expect(await failure(session.scope('INBOX', never))).toMatchObject({ kind: 'connection' });
    await session.close();
  });
});
