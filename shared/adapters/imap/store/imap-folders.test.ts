import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../../../test/support/dovecot.ts';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import type { RawImap } from '../../../../test/support/raw-imap.ts';
import { type StallProxy, startStallProxy } from '../../../../test/support/stall-proxy.ts';
import { allMails, fetchAll, mail, never } from '../../../../test/support/store-helpers.ts';
import type { ChangePage, Checkpoint, ListedMail, StoreSession } from '../../store.ts';
import { encodeFolderName } from '../folder-name.ts';

describe('IMAP folders and UIDs', () => {
  let dovecot: Dovecot;
  let witness: RawImap;
  let proxy: StallProxy;
  let session: StoreSession;
  beforeAll(async () => {
    dovecot = await startDovecot();
    witness = await dovecot.client();
    proxy = await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap });
  });
  afterAll(async () => {
    await witness.close();
    await proxy.stop();
    await dovecot.remove();
  });
  afterEach(() => session?.close());

  const open = async () => {
    session = await imapStore({ port: proxy.port, tls: { starttls: 'never' } }).open({ signal: never });
    proxy.reset();
    return session;
  };
  const commands = () => proxy.sent().map((line) => line.replace(/^\S+ /, ''));
  const target = ({ source, folder }: ListedMail) => ({ source, folder });
  const changes = async (folder: string, checkpoint?: Checkpoint): Promise<ChangePage> => {
    for await (const page of session.changes(folder, checkpoint, { signal: never, pageSize: 1_000 })) return page;
    throw new Error('no page');
  };

  it('takes folder names as the operator writes them', async () => {
    const names = [
      'Tom & Jerry',
      'Entwürfe/Größe',
      '受信箱',
      '😀 mail',
      '__proto__',
      'a;b;7',
      'say "hi" \\ now',
      'x%y*z',
    ];
    await open();
    for (const [index, name] of names.entries()) {
      await witness.createFolder(encodeFolderName(name));
      const bytes = mail(`in folder ${index}`);
      await witness.append(encodeFolderName(name), bytes);
      const { mails } = await changes(name);
      expect(mails.map(({ folder }) => folder)).toEqual([name]);
      const [fetched] = await fetchAll(session, mails);
      expect(fetched?.bytes.equals(bytes)).toBe(true);
      expect(
        await session.dispose(mails.map(target), { action: 'markRead' }, { signal: never, verify: false }),
      ).toEqual(['done']);
      expect(
        await session.dispose(
          mails.map(target),
          { action: 'move', folder: 'Tom & Jerry' },
          { signal: never, verify: false },
        ),
      ).toEqual(['done']);
    }
    expect(await witness.uids(encodeFolderName('Tom & Jerry'))).toHaveLength(names.length);
  });

  it('knows INBOX in every letter case as one folder', async () => {
    await open();
    expect(await session.scope('inbox', never)).toBe(await session.scope('INBOX', never));
  });

  it('says folderMissing with the folders there are', async () => {
    await open();
    await expect(session.scope('Nowhere', never)).rejects.toMatchObject({
      kind: 'folderMissing',
      hint: expect.not.stringContaining('INBOX'),
      found: expect.stringContaining('"INBOX"'),
    });
    await witness.append('INBOX', mail('one'));
    const { mails } = await changes('INBOX');
    const moving = session.dispose(
      mails.map(target),
      { action: 'move', folder: 'Nowhere' },
      { signal: never, verify: false },
    );
    await expect(moving).rejects.toMatchObject({ kind: 'folderMissing', hint: expect.stringContaining('moveTo') });
    expect(await witness.uids('INBOX')).toHaveLength(mails.length);
  });

  it('asks for the last mail and nothing else in an idle round', async () => {
    await open();
    await witness.append('INBOX', mail('one'));
    const { mails, checkpoint } = await changes('INBOX');
    proxy.reset();
    expect((await changes('INBOX', checkpoint)).mails).toEqual([]);
    expect(commands()).toEqual(['EXAMINE "INBOX"', `FETCH ${mails.length} (UID)`]);
  });

  it('fetches small mails together and large ones in parts, each mail once and unchanged', async () => {
    await witness.createFolder('Many');
    const sizes = [300, 3_000, 90_000, 0, 250_000, 700_000];
    for (let index = 0; index < 150; index += 1) {
      const size = index % 25 === 24 ? 2_500_000 : (sizes[index % 5] ?? 0);
      await witness.append('Many', mail(`${index}`, `${'b'.repeat(68)}\r\n`.repeat(size / 70)));
    }
    await open();
    const { mails } = await changes('Many');
    proxy.reset();
    const fetched = await fetchAll(session, mails);
    // 16 MiB in batches of 4 MiB or 64 mails, and six mails of three parts each.
    expect(commands().length).toBeLessThan(28);
    expect(new Set(fetched.map(({ mail: { source } }) => source.item)).size).toBe(150);
    for (const { mail: which, bytes } of fetched) {
      expect(bytes.equals((await witness.fetchBody('Many', Number(which.source.item))) ?? Buffer.alloc(0))).toBe(true);
    }
  });

  it('can be left in the middle of a fetch, and used and closed afterwards', async () => {
    await open();
    const { mails } = await changes('Many');
    const kinds: string[] = [];
    for await (const { content } of session.fetch(mails, { signal: never })) {
      kinds.push(content.kind);
      break;
    }
    expect(kinds).toEqual(['bytes']);
    expect(await session.scope('INBOX', never)).toMatch(/^INBOX;/);
    for await (const { content } of session.fetch(mails.slice(24, 25), { signal: never })) {
      kinds.push(content.kind);
      if (content.kind === 'stream') content.stream.destroy();
    }
    expect(kinds).toEqual(['bytes', 'stream']);
    expect(await session.scope('Many', never)).toMatch(/^Many;/);
  });

  it('disposes of a batch with one command of each kind', async () => {
    await witness.createFolder('Batch');
    for (let index = 0; index < 30; index += 1) await witness.append('Batch', mail(`${index}`));
    await open();
    const { mails } = await changes('Batch');
    proxy.reset();
    const everyOther = mails.filter((_, index) => index % 3 !== 1).map(target);
    const options = { signal: never, verify: true };
    await session.dispose(everyOther, { action: 'delete', mode: 'permanent' }, options);
    expect(commands().map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'SELECT "Batch"',
      'UID FETCH',
      'UID STORE',
      'UID EXPUNGE',
    ]);
    expect(commands().at(-1)).toMatch(/^UID EXPUNGE 1,3:4,6:7,/);
    expect(await witness.uids('Batch')).toEqual([2, 5, 8, 11, 14, 17, 20, 23, 26, 29]);
  });

  it('starts anew after a UIDVALIDITY change, and never disposes by an old UID', async () => {
    await witness.createFolder('Anew');
    await witness.append('Anew', mail('one'));
    await open();
    const before = await changes('Anew');
    await session.close();
    await dovecot.setUidValidity('tester', 'Anew', 424_242);
    await open();
    const after = await changes('Anew', before.checkpoint);
    expect(after.mails[0]?.source.scope).toBe('Anew;424242');
    expect(after.mails[0]?.source.item).toBe(before.mails[0]?.source.item);
    const old = before.mails.map(target);
    const outcomes = await session.dispose(
      old,
      { action: 'delete', mode: 'permanent' },
      { signal: never, verify: true },
    );
    expect(outcomes).toEqual(['mismatch']);
    for await (const { content } of session.fetch(before.mails, { signal: never })) expect(content.kind).toBe('gone');
    expect(await witness.uids('Anew')).toHaveLength(1);
  });

  it('leaves mail that arrives during a round to the next one (trap: state read again after the fetch)', async () => {
    await witness.createFolder('Arriving');
    for (const subject of ['1', '2', '3']) await witness.append('Arriving', mail(subject));
    await open();
    let checkpoint: Checkpoint | undefined;
    const first: ListedMail[] = [];
    for await (const page of session.changes('Arriving', undefined, { signal: never, pageSize: 1 })) {
      first.push(...page.mails);
      checkpoint = page.checkpoint;
      await witness.append('Arriving', mail('arrived meanwhile'));
    }
    expect(first).toHaveLength(3);
    expect((await changes('Arriving', checkpoint)).mails).toHaveLength(3);
  });

  it('deletes to the trash of the server, making one where there is none, and leaves alone what is there', async () => {
    const bare = await startDovecot({ extra: 'namespace inbox {\n  mailbox Trash {\n    special_use =\n  }\n}' });
    try {
      await bare.deliver('tester', mail('one'));
      session = await imapStore({ port: bare.ports.imap, tls: { starttls: 'never' } }).open({ signal: never });
      const { mails } = await changes('INBOX');
      const toTrash = { action: 'delete', mode: 'trash' } as const;
      expect(await session.dispose(mails.map(target), toTrash, { signal: never, verify: true })).toEqual(['done']);
      const trashed = await allMails(session.list('Trash', { signal: never, pageSize: 5 }));
      expect(trashed).toHaveLength(1);
      expect(await session.dispose(trashed.map(target), toTrash, { signal: never, verify: true })).toEqual(['done']);
      const still = await allMails(session.list('Trash', { signal: never, pageSize: 5 }));
      expect(still.map(({ source }) => source)).toEqual(trashed.map(({ source }) => source));
      await session.close();
    } finally {
      await bare.remove();
    }
  });

  it('takes the mails of a folder that was removed for gone', async () => {
    await witness.createFolder('Removed');
    await witness.append('Removed', mail('one'));
    await open();
    const { mails } = await changes('Removed');
    await session.close();
    await witness.select('INBOX');
    await witness.ok('DELETE "Removed"');
    await open();
    const outcomes = await session.dispose(mails.map(target), { action: 'markRead' }, { signal: never, verify: true });
    expect(outcomes).toEqual(['gone']);
  });
});
