import { afterEach, describe, expect, it } from 'vitest';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import { literal, scriptedImapMailbox } from '../../../../test/support/scripted-imap-mailbox.ts';
import { allMails, contentBytes, mail, never } from '../../../../test/support/store-helpers.ts';
import type { ListedMail, StoreSession } from '../../store.ts';

/** Fetches that wait for the connection, which the next command asks for together. */

let server: ScriptedImap | undefined;
let session: StoreSession | undefined;
afterEach(async () => {
  await session?.close();
  await server?.stop();
  session = undefined;
  server = undefined;
});

const mails = [1, 2, 3, 4, 5, 6].map((uid) => ({ uid, bytes: mail(`Mail ${uid}`) }));
const isContents = (line: string) => line.includes('BODY.PEEK[]');

/** The contents of a batch, by their numbers. */
async function contentsOf(batch: readonly ListedMail[]): Promise<readonly Buffer[]> {
  const found: Buffer[] = [];
  if (!session) throw new Error('no session');
  for await (const { content } of session.fetch(batch, { signal: never })) found.push(await contentBytes(content));
  return found;
}

async function listed(
  script: Parameters<typeof startScriptedImap>[0] = {},
  timeout = 60_000,
): Promise<readonly ListedMail[]> {
  server = await startScriptedImap({ ...scriptedImapMailbox(...mails).script, ...script });
  session = await imapStore({ port: server.port, tls: { starttls: 'never' }, timeout }).open({ signal: never });
  return await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
}

const asked = () =>
  (server?.commands() ?? []).filter(isContents).map((line) => /FETCH ([\d:,]+)/.exec(line)?.[1] ?? line);

describe('fetches that wait for the connection', () => {
  it('go by one command', async () => {
    const all = await listed();
    const batches = [all.slice(0, 2), all.slice(2, 4), all.slice(4)];
    const contents = await Promise.all(batches.map(contentsOf));
    expect(contents.flat()).toEqual(mails.map(({ bytes }) => bytes));
    expect(asked()).toEqual(['1:6']);
  });

  it('have what came whole before the server fell silent, and only the others fail', async () => {
    const { script } = scriptedImapMailbox(...mails);
    const whole = (uid: number) =>
      `* ${uid} FETCH (UID ${uid} BODY[] ${literal(mails[uid - 1]?.bytes ?? Buffer.alloc(0))})\r\n`;
    const all = await listed(
      {
        'UID FETCH': (tag, line) => {
          if (!isContents(line) || !line.includes('1:6')) return script['UID FETCH']?.(tag, line);
          return `${[1, 2, 3, 4, 5].map(whole).join('')}* 6 FETCH (UID 6 BODY[] {100}\r\nSubject: cut`;
        },
      },
      1_500,
    );
    const batches = [all.slice(0, 2), all.slice(2, 4), all.slice(4)];
    const settled = await Promise.allSettled(batches.map(contentsOf));
    expect(settled).toMatchObject([
      { status: 'fulfilled', value: mails.slice(0, 2).map(({ bytes }) => bytes) },
      { status: 'fulfilled', value: mails.slice(2, 4).map(({ bytes }) => bytes) },
      { status: 'rejected', reason: { name: 'StoreError', kind: 'connection' } },
    ]);
  });

  it('believe neither of two answers for one mail that differ, whichever fetch asked for it', async () => {
    const { script } = scriptedImapMailbox(...mails);
    const all = await listed({
      'UID FETCH': (tag, line) => {
        const answer = script['UID FETCH']?.(tag, line);
        if (!isContents(line) || !line.includes('1:6')) return answer;
        return `* 3 FETCH (UID 3 BODY[] ${literal(mail('Another one'))})\r\n${answer}`;
      },
    });
    const [, second, third] = await Promise.allSettled(
      [all.slice(0, 2), all.slice(2, 4), all.slice(4)].map(contentsOf),
    );
    expect(second?.status).toBe('rejected');
    expect(third).toMatchObject({ status: 'fulfilled', value: mails.slice(4).map(({ bytes }) => bytes) });
  });
});
