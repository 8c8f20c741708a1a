import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Disposal } from '../../shared/adapters/store.ts';
import { allMails, contentBytes, fetchAll, mail, mailOfAllOctets, never } from '../support/store-helpers.ts';
import { type ContractTools, contractTools, mailAt, type StoreFixture } from './store-contract-tools.ts';
import { disposalContract } from './store-disposal.contract.ts';
import { troubleContract } from './store-trouble.contract.ts';

export type { SilentMoment, StoreFixture } from './store-contract-tools.ts';

/** What every store does, whatever its protocol. */
export function storeContract(name: string, setUp: () => Promise<StoreFixture>): void {
  describe(`store contract: ${name}`, () => {
    let current: StoreFixture | undefined;
    const fixture = () => {
      if (!current) throw new Error('the fixture is not there yet');
      return current;
    };
    beforeAll(async () => {
      current = await setUp();
    });
    afterAll(() => current?.tearDown());
    beforeEach(() => fixture().empty());

    const tools = contractTools(fixture);
    listingContract(tools);
    fetchingContract(tools);
    disposalContract(tools);
    troubleContract(tools);
  });
}

function listingContract({ fixture, withSession, round, deliver }: ContractTools): void {
  describe('listing', () => {
    it('brings everything in the first round', async () => {
      await deliver('one', 'two', 'three');
      const first = await withSession((session) => round(session));
      expect(first.mails).toHaveLength(3);
      expect(new Set(first.mails.map(({ source }) => source.item)).size).toBe(3);
      for (const { source, folder } of first.mails) {
        expect(source.store).toBe(fixture().store().identity);
        expect(folder).toBe(fixture().folder);
      }
    });

    it('brings what is new in the second round, also from a new session', async () => {
      await deliver('old one', 'old two');
      const first = await withSession((session) => round(session));
      await deliver('new');
      const second = await withSession((session) => round(session, first.checkpoint));
      const old = new Set(first.mails.map(({ source }) => source.item));
      const fresh = second.mails.filter(({ source }) => !old.has(source.item));
      expect(fresh).toHaveLength(1);
      expect(second.mails).toHaveLength(1);
    });

    it('answers an idle round with one page and a checkpoint as good as the last', async () => {
      await deliver('one');
      const first = await withSession((session) => round(session));
      const idle = await withSession((session) => round(session, first.checkpoint));
      expect(idle.pages).toHaveLength(1);
      expect(idle.mails).toHaveLength(0);
      expect(idle.checkpoint).toEqual(first.checkpoint);
    });

    it('gives an empty folder a first checkpoint, from which the first mail is new', async () => {
      const first = await withSession((session) => round(session));
      expect(first.mails).toHaveLength(0);
      await deliver('first');
      const second = await withSession((session) => round(session, first.checkpoint));
      expect(second.mails).toHaveLength(1);
    });

    it('names its folders, with how many mails are in them, and those that are selected', async () => {
      await deliver('one', 'two');
      const { folder } = fixture();
      const folders = await withSession((session) => session.folders([folder], never));
      const selected = folders.filter((each) => each.selected);
      expect(selected).toMatchObject([{ name: folder, total: 2, use: 'inbox' }]);
      expect(new Set(folders.map(({ name }) => name)).size).toBe(folders.length);
      const none = await withSession((session) => session.folders([], never));
      expect(none.map(({ name }) => name)).toContain(folder);
      expect(none.filter((each) => each.selected)).toEqual([]);
    });

    it('keeps to the page size, and counts what remains', async () => {
      await deliver('1', '2', '3', '4', '5');
      const { pages } = await withSession((session) => round(session, undefined, 2));
      expect(pages.map(({ mails }) => mails.length)).toEqual([2, 2, 1]);
      const reported = fixture().tellsRemaining ? [3, 1, 0] : [undefined, undefined, undefined];
      expect(pages.map(({ remaining }) => remaining)).toEqual(reported);
    });

    it('goes on from the checkpoint of any page', async () => {
      await deliver('1', '2', '3', '4', '5');
      await withSession(async (session) => {
        const { pages } = await round(session, undefined, 2);
        const rest = await round(session, pages[0]?.checkpoint);
        const items = rest.mails.map(({ source }) => source.item);
        for (const { source } of pages.slice(1).flatMap((page) => page.mails)) expect(items).toContain(source.item);
      });
    });

    it('lists everything whatever the checkpoint, with the same source ids', async () => {
      await deliver('1', '2', '3');
      await withSession(async (session) => {
        const { mails } = await round(session);
        const listed = await allMails(session.list(fixture().folder, { signal: never, pageSize: 2 }));
        expect(listed.map(({ source }) => source)).toEqual(mails.map(({ source }) => source));
      });
    });

    it('has one scope for a folder, that of its mails', async () => {
      await deliver('one');
      await withSession(async (session) => {
        const scope = await session.scope(fixture().folder, never);
        expect((await round(session)).mails[0]?.source.scope).toBe(scope);
      });
    });

    it('gives Message-ID and subject when details are asked for', async () => {
      await deliver('Grüße aus Köln');
      await withSession(async (session) => {
        const options = { signal: never, pageSize: 10, details: true };
        const [listed] = await allMails(session.list(fixture().folder, options));
        expect(listed?.subject).toBe('Grüße aus Köln');
        expect(listed?.messageId).toMatch(/^<.+@.+>$/);
      });
    });
  });
}

function fetchingContract({ fixture, withSession, round, deliver }: ContractTools): void {
  describe('fetching', () => {
    it('gives every mail its own bytes, as another client gets them', async () => {
      await deliver('one', 'two', 'three');
      await fixture().deliver(mailOfAllOctets());
      await withSession(async (session) => {
        const { mails } = await round(session);
        const fetched = await fetchAll(session, mails);
        expect(fetched).toHaveLength(4);
        for (const { mail: which, bytes } of fetched) {
          expect(bytes.equals((await fixture().witnessBytes(which)) ?? Buffer.alloc(0))).toBe(true);
        }
      });
    });

    it('carries a large mail unchanged', async () => {
      const line = `${'x'.repeat(70)}\r\n`;
      await fixture().deliver(mail('large', line.repeat(40_000)));
      await withSession(async (session) => {
        const { mails } = await round(session);
        const [fetched] = await fetchAll(session, mails);
        const witness = await fixture().witnessBytes(mailAt(mails, 0));
        expect(witness?.length).toBeGreaterThan(2_800_000);
        expect(fetched?.bytes.equals(witness ?? Buffer.alloc(0))).toBe(true);
      });
    });

    it('does not say that it has asked for all while a large mail is still to be asked for', async () => {
      await fixture().deliver(mail('large', `${'x'.repeat(70)}\r\n`.repeat(40_000)));
      await fixture().deliver(mail('small', 'a few words\r\n'));
      await withSession(async (session) => {
        const { mails } = await round(session);
        const before: boolean[] = [];
        let said = false;
        const asked = () => {
          said = true;
        };
        for await (const { content } of session.fetch(mails, { signal: never, asked })) {
          before.push(content.kind === 'stream' && said);
          await contentBytes(content);
        }
        expect(before).toEqual([false, false]);
      });
    });

    it('gives the header section alone when that is asked for', async () => {
      await fixture().deliver(mail('headers', 'the body\r\n'));
      await withSession(async (session) => {
        const { mails } = await round(session);
        const texts: string[] = [];
        for await (const { content } of session.fetch(mails, { signal: never, headersOnly: true })) {
          texts.push((await contentBytes(content)).toString('latin1'));
        }
        expect(texts).toEqual([expect.stringContaining('Subject: headers')]);
        expect(texts.join()).not.toContain('the body');
      });
    });

    it('changes nothing by reading', async () => {
      await deliver('one');
      await withSession(async (session) => {
        const { mails } = await round(session);
        await fetchAll(session, mails);
        const [one] = mails;
        if (!one) throw new Error('no mail');
        expect((await fixture().witnessFlags(one)) ?? []).toEqual([]);
      });
      expect(await fixture().witnessCount(fixture().folder)).toBe(1);
    });

    it('says gone of a mail that another client removed after the listing, and gives the others', async () => {
      await deliver('stays', 'goes', 'stays too');
      const { mails } = await withSession((session) => round(session));
      await fixture().removeByOther(mailAt(mails, 1));
      await withSession(async (session) => {
        const kinds: string[] = [];
        for await (const { content } of session.fetch(mails, { signal: never })) kinds.push(content.kind);
        expect(kinds.sort()).toEqual(['bytes', 'bytes', 'gone']);
      });
    });

    it('lets the session be used between two mails', async () => {
      await deliver('1', '2', '3');
      await withSession(async (session) => {
        const { mails } = await round(session);
        let disposed = 0;
        for await (const { mail: which } of session.fetch(mails, { signal: never })) {
          await session.scope(fixture().folder, never);
          const target = { source: which.source, folder: which.folder };
          const action: Disposal = { action: 'delete', mode: 'permanent' };
          const [outcome] = await session.dispose([target], action, { signal: never, verify: false });
          if (outcome === 'done') disposed += 1;
        }
        expect(disposed).toBe(3);
      });
      expect(await fixture().witnessCount(fixture().folder)).toBe(0);
    });
  });
}
