import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { type OddFolder, oddFolderScript } from '../../../../test/support/odd-imap-folder.ts';
import { type ScriptedImap, startScriptedImap } from '../../../../test/support/scripted-imap.ts';
import { allMails, never } from '../../../../test/support/store-helpers.ts';
import type { Checkpoint, ListedMail, StoreSession } from '../../store.ts';

/** What a round makes of answers that do not agree with each other: nothing is passed over without evidence. */
describe('evidence', () => {
  let folder: OddFolder;
  let server: ScriptedImap;
  let session: StoreSession;

  const mails = (from: number, to: number, text = 'a') =>
    Array.from({ length: to - from + 1 }, (_, n) => ({ uid: from + n, text: `Subject: ${text} ${from + n}\r\n\r\n` }));
  const uids = (listed: readonly ListedMail[]) => listed.map(({ source }) => Number(source.item));
  const round = async (checkpoint?: Checkpoint) => {
    const listed: ListedMail[] = [];
    let last: Checkpoint | undefined;
    for await (const page of session.changes('INBOX', checkpoint, { signal: never, pageSize: 1_000 })) {
      listed.push(...page.mails);
      last = page.checkpoint;
    }
    return { listed, checkpoint: last };
  };
  const list = () => allMails(session.list('INBOX', { signal: never, pageSize: 1_000 }));
  const open = async () => {
    session = await imapStore({ port: server.port, tls: { starttls: 'never' }, timeout: 5_000 }).open({
      signal: never,
    });
  };

  beforeEach(async () => {
    folder = { mails: [], uidValidity: 7 };
    server = await startScriptedImap(oddFolderScript(folder));
    await open();
  });
  afterEach(async () => {
    await session.close();
    await server.stop();
  });

  it('lists all of a folder whose SEARCH is cut at 40 of 100', async () => {
    folder.mails = mails(1, 100);
    folder.searchLimit = 40;
    const first = await round();
    expect(uids(first.listed)).toHaveLength(100);
    expect(first.checkpoint).toMatchObject({ uidValidity: 7, lastUid: 100 });
    folder.mails.push(...mails(101, 190));
    expect(uids((await round(first.checkpoint)).listed)).toEqual(mails(101, 190).map(({ uid }) => uid));
    expect(uids(await list())).toHaveLength(190);
  });

  it('finds mail in a folder with large gaps between its UIDs, window by window', async () => {
    folder.mails = [...mails(1, 3), ...mails(3_000_000_000, 3_000_000_002)];
    folder.searchLimit = 0;
    expect(uids((await round()).listed)).toHaveLength(6);
    expect(server.commands().length).toBeLessThan(40);
  });

  it('fails, and passes over nothing, where the server counts mails that no listing has', async () => {
    folder.mails = mails(1, 5);
    const { checkpoint } = await round();
    folder.mails.push(...mails(6, 9));
    folder.hidden = new Set([7]);
    await expect(round(checkpoint)).rejects.toMatchObject({ kind: 'protocol', code: 'LISTING' });
    await expect(list()).rejects.toMatchObject({ kind: 'protocol', code: 'LISTING' });
  });

  it('asks for nothing more where SEARCH and EXISTS agree', async () => {
    folder.mails = mails(1, 5);
    const { checkpoint } = await round();
    folder.mails.push(...mails(6, 7));
    const before = server.commands().length;
    await round(checkpoint);
    const said = server.commands().slice(before);
    expect(said.filter((line) => /^UID FETCH \d+:\d+ \(UID\)/.test(line))).toEqual([]);
    const idle = server.commands().length;
    await round({ ...checkpoint, lastUid: 7, uidNext: 8 });
    expect(server.commands().slice(idle)).toEqual(['EXAMINE "INBOX"', 'FETCH 7 (UID)']);
  });

  it('finds the last mail where UIDNEXT lags behind by one, and takes its UIDs for no others', async () => {
    folder.mails = mails(1, 5);
    folder.uidNext = 5;
    const first = await round();
    expect(uids(first.listed)).toEqual([1, 2, 3, 4, 5]);
    folder.mails.push(...mails(6, 6));
    folder.uidNext = 6;
    const second = await round(first.checkpoint);
    expect(uids(second.listed)).toEqual([6]);
    folder.mails = folder.mails.filter(({ uid }) => uid < 6);
    expect(await round(second.checkpoint)).toEqual({ listed: [], checkpoint: second.checkpoint });
  });

  it('goes on from the last mail, and not from a UIDNEXT that is far ahead for good', async () => {
    folder.mails = mails(1, 3);
    folder.uidNext = 4_294_967_295;
    const { checkpoint } = await round();
    const end = await session.end?.('INBOX', never);
    expect(Number(end?.item)).toBe(3);
    folder.mails.push(...mails(4, 5));
    expect(uids((await round(checkpoint)).listed)).toEqual([4, 5]);
  });

  it('does not let mails that are no longer there stand for those that SEARCH leaves out', async () => {
    folder.mails = mails(1, 5);
    const { checkpoint } = await round();
    folder.mails = mails(8, 12);
    folder.stale = [6, 7];
    folder.unsearchable = new Set([10]);
    expect(uids((await round(checkpoint)).listed)).toContain(10);
    expect(uids(await list())).toContain(10);
  });

  it('does not move on at an EXISTS of 0 alone', async () => {
    folder.mails = [];
    folder.uidNext = 50;
    expect((await round()).checkpoint).toMatchObject({ lastUid: 0 });
  });

  it('takes a UIDNEXT below what was listed for UIDs given anew: another scope, from the beginning', async () => {
    folder.mails = mails(1, 9);
    const first = await round();
    expect(await session.scope('INBOX', never, first.checkpoint)).toBe('INBOX;7');
    await session.close();
    folder.mails = mails(1, 4, 'b');
    await open();
    expect(await session.scope('INBOX', never, first.checkpoint)).toBe('INBOX;7+1');
    const again = await round(first.checkpoint);
    expect(uids(again.listed)).toEqual([1, 2, 3, 4]);
    expect(again.listed[0]?.source.scope).toBe('INBOX;7+1');
    expect(again.checkpoint).toMatchObject({ epoch: 1, lastUid: 4 });
    // What had the old ids is gone, and nothing is done to the mail that has them now.
    const target = first.listed.slice(0, 1).map((mail) => ({ source: mail.source, folder: mail.folder }));
    const disposed = session.dispose(target, { action: 'delete', mode: 'permanent' }, { signal: never, verify: false });
    expect(await disposed).toEqual(['mismatch']);
    const kinds: string[] = [];
    for await (const { content } of session.fetch(first.listed.slice(0, 1), { signal: never })) {
      kinds.push(content.kind);
    }
    expect(kinds).toEqual(['gone']);
    // The next session goes on from there.
    await session.close();
    folder.mails.push(...mails(5, 5, 'b'));
    await open();
    expect(await session.scope('INBOX', never, again.checkpoint)).toBe('INBOX;7+1');
    expect(uids((await round(again.checkpoint)).listed)).toEqual([5]);
  });

  it('finds out UIDs that are used again above what was listed, by the mail that was listed last', async () => {
    folder.mails = mails(1, 5);
    const { checkpoint } = await round();
    folder.mails = Array.from({ length: 8 }, (_, n) => ({
      uid: n + 1,
      text: `Subject: another mail, and a longer one ${n}\r\n\r\n`,
      date: '09-Mar-2026 10:00:00 +0000',
    }));
    const again = await round(checkpoint);
    expect(uids(again.listed)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(again.listed[0]?.source.scope).toBe('INBOX;7+1');
  });

  it('says that a mail is still listed where one of two answers names it', async () => {
    folder.mails = mails(1, 3);
    const { listed } = await round();
    folder.searchLimit = 0;
    folder.mails = folder.mails.filter(({ uid }) => uid !== 2);
    const there = await session.stillListed(listed, never);
    expect(uids(listed.filter((mail) => there.has(mail)))).toEqual([1, 3]);
  });

  it('says gone of an original that two answers leave out, and not of one that a cut answer does', async () => {
    folder.mails = mails(1, 4);
    const { listed } = await round();
    folder.fetchLimit = 2;
    folder.mails = folder.mails.filter(({ uid }) => uid !== 4);
    const targets = listed.map(({ source, folder: name }) => ({ source, folder: name }));
    const disposed = await session.dispose(targets, { action: 'markRead' }, { signal: never, verify: true });
    expect(disposed).toMatchObject(['done', 'done', { refused: { code: 'NO_ANSWER' } }, 'gone']);
  });
});
