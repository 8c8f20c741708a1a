import { describe, expect, it } from 'vitest';
import type { ListedMail } from '../../adapters/store.ts';
import { TestInbox } from '../inbox.test-support.ts';
import { type CheckpointRow, Checkpoints } from './checkpoints.ts';

const { signal } = new AbortController();
const checkpoint = { scope: 'INBOX;7', item: '0000000012' };

function site() {
  const inbox = new TestInbox();
  const read = (identity = inbox.store.identity) =>
    Checkpoints.read({
      inbox: inbox.context,
      account: inbox.name,
      signal,
      store: Object.assign(Object.create(inbox.store), { identity }),
    });
  const write = (...rows: CheckpointRow[]) => inbox.rows.write(inbox.name, rows);
  return { inbox, read, write };
}

const mail = (receivedAt?: number): ListedMail => ({
  source: { store: 's', scope: 'x', item: '1' },
  folder: 'INBOX',
  ...(receivedAt === undefined ? {} : { receivedAt }),
});

describe('the checkpoint of a folder', () => {
  it('is where the next round begins, of that folder and store alone', async () => {
    const { read, write } = site();
    const first = await read();
    expect(first.of('INBOX')).toBeUndefined();
    await write(first.row('INBOX', checkpoint, []));
    const next = await read();
    expect([next.of('INBOX'), next.of('Other')]).toEqual([checkpoint, undefined]);
    expect((await read('imap:another')).of('INBOX')).toBeUndefined();
  });

  it('takes the place of the one before, and may be forgotten: the round is a full one then', async () => {
    const { read, write, inbox } = site();
    const all = await read();
    await write(all.firstRow('INBOX', 'since1'));
    all.written(all.firstRow('INBOX', 'since1'));
    const row = all.row('INBOX', checkpoint, [mail(5)]);
    expect(row).toMatchObject({
      kind: 'put',
      columns: { folder: 'INBOX', store: inbox.store.identity, savedAt: inbox.now },
    });
    all.written(row);
    expect([all.of('INBOX'), all.sinceOf('INBOX')]).toEqual([checkpoint, 'since1']);
    all.written(all.forgottenRow('INBOX'));
    expect([all.of('INBOX'), all.sinceOf('INBOX')]).toEqual([undefined, 'since1']);
  });

  it('of a folder begun anew is none', async () => {
    const { read } = site();
    const all = await read();
    all.written(all.row('INBOX', checkpoint, [mail(5)]));
    all.written(all.firstRow('INBOX', 'since2'));
    expect([all.of('INBOX'), all.sinceOf('INBOX'), all.sinceOf('Other')]).toEqual([undefined, 'since2', undefined]);
  });
});

describe('folders', () => {
  it('at which the connection was lost come last, those where it was lost last behind all, until they are gone through', async () => {
    const { read, inbox } = site();
    const all = await read();
    const lose = (folder: string) => {
      inbox.now += 1;
      all.written(all.lostRow(folder));
    };
    lose('b');
    lose('a');
    expect(all.troubledLast(['a', 'b', 'c'])).toEqual(['c', 'b', 'a']);
    all.written(all.row('a', checkpoint, []));
    expect(all.troubledLast(['a', 'b', 'c'])).toEqual(['a', 'c', 'b']);
  });

  it('remember when the latest mail came, for a store that takes their place', async () => {
    const { read, write } = site();
    const all = await read();
    all.written(all.firstRow('INBOX', 'since1'));
    all.written(all.row('INBOX', checkpoint, [mail(7), mail(), mail(5)]));
    all.written(all.row('INBOX', checkpoint, [mail(3)]));
    await write(all.row('INBOX', checkpoint, []));
    await write(all.firstRow('Empty', 'since3'));
    const other = all.firstRow('Other', 'since1');
    all.written(other);
    await write(all.row('Other', checkpoint, [mail(6)]));
    const moved = await read('imap:another');
    const newest = ['since1', 'since2', 'since3'].map((since) => moved.newestElsewhere(since));
    expect(newest).toEqual([7, undefined, undefined]);
    expect((await read()).newestElsewhere('since1')).toBeUndefined();
  });
});

describe('a folder that is being noted', () => {
  it('goes on where it was cut, and is not imported meanwhile', async () => {
    const { read, write } = site();
    const all = await read();
    expect(all.noted('INBOX', 'since1')).toEqual({ rows: 0, newestAt: undefined });
    await write(all.notingRow('INBOX', { since: 'since1', rows: 2, newestAt: 9, checkpoint }));
    const next = await read();
    expect(next.noted('INBOX', 'since1')).toEqual({ rows: 2, newestAt: 9, checkpoint });
    expect(next.of('INBOX')).toBeUndefined();
    // Another "now" begins anew.
    expect(next.noted('INBOX', 'since2')).toEqual({ rows: 0, newestAt: undefined });
  });
});
