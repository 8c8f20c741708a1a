import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../../../test/support/dovecot.ts';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import type { RawImap } from '../../../../test/support/raw-imap.ts';
import { startStallProxy } from '../../../../test/support/stall-proxy.ts';
import { allMails, mail, never } from '../../../../test/support/store-helpers.ts';
import type { Disposal, ListedMail } from '../../store.ts';

const target = ({ source, folder }: ListedMail) => ({ source, folder });

describe('mail that another client has marked \\Deleted stays (trap: plain EXPUNGE and CLOSE remove it)', () => {
  let dovecot: Dovecot;
  let witness: RawImap;
  beforeAll(async () => {
    dovecot = await startDovecot({ users: { one: 'secret', two: 'secret', three: 'secret', four: 'secret' } });
  });
  afterAll(() => dovecot.remove());

  const servers = [
    { user: 'one', hidden: [], removes: true, what: 'with UIDPLUS and MOVE' },
    { user: 'two', hidden: ['MOVE'], removes: true, what: 'without MOVE' },
    { user: 'three', hidden: ['UIDPLUS'], removes: false, what: 'without UIDPLUS' },
    { user: 'four', hidden: ['UIDPLUS', 'MOVE'], removes: false, what: 'with neither' },
  ] as const;
  for (const { user, hidden, removes, what } of servers) {
    it(`on a server ${what}`, async () => {
      witness = await dovecot.client(user);
      const proxy = await startStallProxy({
        host: dovecot.host,
        port: dovecot.ports.imap,
        hideCapabilities: hidden,
      });
      try {
        await witness.createFolder('Kept');
        for (const subject of ['marked by another', 'delete', 'trash', 'move']) {
          await witness.append('INBOX', mail(subject));
        }
        await witness.store('INBOX', 1, '+FLAGS (\\Deleted)');
        const store = imapStore({
          port: proxy.port,
          tls: { starttls: 'never' },
          auth: { type: 'password', user, secret: 'x-imap' },
        });
        const session = await store.open({ signal: never });
        const mails = await allMails(session.list('INBOX', { signal: never, pageSize: 10 }));
        const dispose = (at: number, disposal: Disposal) =>
          session.dispose(mails.slice(at, at + 1).map(target), disposal, { signal: never, verify: true });
        const deleted = await dispose(1, { action: 'delete', mode: 'permanent' });
        const trashed = await dispose(2, { action: 'delete', mode: 'trash' });
        const moved = await dispose(3, { action: 'move', folder: 'Kept' });
        await session.scope('Kept', never);
        await session.close();

        // A move needs only MOVE; a deletion and a copy need UIDPLUS.
        const canMove = !(hidden as readonly string[]).includes('MOVE') || removes;
        expect(deleted).toEqual([removes ? 'done' : 'markedOnly']);
        expect(trashed).toEqual([canMove ? 'done' : 'markedOnly']);
        expect(moved).toEqual([canMove ? 'done' : 'markedOnly']);
        const left = await witness.uids('INBOX');
        expect(left).toEqual([1, ...(removes ? [] : [2]), ...(canMove ? [] : [3, 4])]);
        for (const uid of left) expect(await witness.flags('INBOX', uid)).toEqual(['\\Deleted']);
        expect(await witness.uids('Trash')).toHaveLength(1);
        expect(await witness.uids('Kept')).toHaveLength(1);
        const commands = proxy.sent().map((line) => line.replace(/^\S+ /, ''));
        expect(commands.filter((line) => /^(EXPUNGE|CLOSE)/i.test(line))).toEqual([]);
        expect(commands.at(-1)).toBe('LOGOUT');
      } finally {
        await proxy.stop();
        await witness.close();
      }
    });
  }
});
