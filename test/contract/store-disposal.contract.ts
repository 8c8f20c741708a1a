import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Disposal, ListedMail } from '../../shared/adapters/store.ts';
import { fetchAll, never } from '../support/store-helpers.ts';
import { type ContractTools, failure, mailAt } from './store-contract-tools.ts';

/** What becomes of originals. */
export function disposalContract({ fixture, withSession, round, deliver }: ContractTools): void {
  describe('disposing', () => {
    const targetOf = ({ source, folder, size, receivedAt }: ListedMail) => ({
      source,
      folder,
      ...(size === undefined ? {} : { size }),
      ...(receivedAt === undefined ? {} : { receivedAt }),
    });
    const disposeIn = async (disposal: Disposal, pick: (mails: readonly ListedMail[]) => readonly ListedMail[]) =>
      withSession(async (session) => {
        const { mails } = await round(session);
        const outcomes = await session.dispose(pick(mails).map(targetOf), disposal, { signal: never, verify: true });
        return { mails, outcomes };
      });

    /** A protocol that cannot says so, and touches nothing. */
    const refuses = async (disposal: Disposal) => {
      await deliver('one');
      expect(await failure(disposeIn(disposal, (all) => all))).toMatchObject({ kind: 'permission' });
      expect(await fixture().witnessCount(fixture().folder)).toBe(1);
    };

    it('marks read, or says that the protocol has no read state', async () => {
      if (!fixture().store().abilities.markRead) return await refuses({ action: 'markRead' });
      await deliver('one', 'two');
      const { mails, outcomes } = await disposeIn({ action: 'markRead' }, (all) => all.slice(0, 1));
      expect(outcomes).toEqual(['done']);
      expect(await fixture().witnessFlags(mailAt(mails, 0))).toEqual(['\\Seen']);
      expect(await fixture().witnessFlags(mailAt(mails, 1))).toEqual([]);
    });

    it('deletes for good what it was asked to, and nothing else', async () => {
      await deliver('one', 'two', 'three');
      const { mails, outcomes } = await disposeIn({ action: 'delete', mode: 'permanent' }, (all) => [
        ...all.slice(0, 1),
        ...all.slice(2),
      ]);
      expect(outcomes).toEqual(['done', 'done']);
      expect(await fixture().witnessCount(fixture().folder)).toBe(1);
      expect(await fixture().witnessBytes(mailAt(mails, 1))).toBeDefined();
    });

    it('moves to a folder and to the trash, or says that the protocol has neither', async () => {
      const { otherFolder, trashFolder } = fixture();
      if (otherFolder === undefined && trashFolder === undefined) {
        return await refuses({ action: 'move', folder: 'Done' });
      }
      if (otherFolder === undefined || trashFolder === undefined) throw new Error('the fixture lacks folders');
      await deliver('one', 'two');
      expect((await disposeIn({ action: 'move', folder: otherFolder }, (all) => all.slice(0, 1))).outcomes).toEqual([
        'done',
      ]);
      expect(await fixture().witnessCount(otherFolder)).toBe(1);
      expect((await disposeIn({ action: 'delete', mode: 'trash' }, (all) => all)).outcomes).toEqual(['done']);
      expect(await fixture().witnessCount(trashFolder)).toBe(1);
      expect(await fixture().witnessCount(fixture().folder)).toBe(0);
    });

    it('says gone of what another client removed, and does the rest', async () => {
      await deliver('one', 'two');
      const { mails } = await withSession((session) => round(session));
      await fixture().removeByOther(mailAt(mails, 0));
      await withSession(async (session) => {
        const action: Disposal = { action: 'delete', mode: 'permanent' };
        const outcomes = await session.dispose(mails.map(targetOf), action, { signal: never, verify: true });
        expect(outcomes).toEqual(['gone', 'done']);
        expect(await session.dispose(mails.map(targetOf), action, { signal: never, verify: false })).toEqual([
          'gone',
          'gone',
        ]);
      });
    });

    it('disposes of a mail whose size is another one now, by its id or its content', async () => {
      await deliver('one');
      await withSession(async (session) => {
        const { mails } = await round(session);
        const [fetched] = await fetchAll(session, mails);
        if (!fetched) throw new Error('nothing was fetched');
        const sha256 = createHash('sha256').update(fetched.bytes).digest('hex');
        const target = { ...targetOf(fetched.mail), size: (fetched.mail.size ?? 0) + 29, sha256 };
        const action: Disposal = { action: 'delete', mode: 'permanent' };
        expect(await session.dispose([target], action, { signal: never, verify: true })).toEqual(['done']);
      });
      expect(await fixture().witnessCount(fixture().folder)).toBe(0);
    });

    it('leaves alone what is another mail than the ledger knows', async () => {
      await deliver('one');
      await withSession(async (session) => {
        const [one] = (await round(session)).mails;
        if (!one) throw new Error('nothing was listed');
        const action: Disposal = { action: 'delete', mode: 'permanent' };
        // Ids of Graph name one mail for good; others may be given again, where servers are restored or ids are hashes.
        if (one.size !== undefined) {
          const differing = {
            size: one.size + 1,
            ...(one.receivedAt === undefined ? {} : { receivedAt: one.receivedAt + 60_000 }),
          };
          const other = [{ ...targetOf(one), ...differing }];
          expect(await session.dispose(other, action, { signal: never, verify: true })).toEqual(['mismatch']);
        }
        const foreign = [{ ...targetOf(one), source: { ...one.source, store: 'imap://someone@elsewhere.invalid' } }];
        expect(await session.dispose(foreign, action, { signal: never, verify: false })).toEqual(['mismatch']);
      });
      expect(await fixture().witnessCount(fixture().folder)).toBe(1);
    });
  });
}
