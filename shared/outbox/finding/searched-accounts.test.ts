import { describe, expect, it } from 'vitest';
import { MemoryOutbox } from '../../../test/support/memory-outbox.ts';
import { recover, recoverEverywhere } from '../delivering/recover.ts';
import { openKey } from '../keys.ts';
import { findInAccounts } from './find-messages.ts';
import { accountsWithMail } from './searched-accounts.ts';

const minute = 60_000;
const options = { signal: new AbortController().signal };
const names = Array.from({ length: 100 }, (_, n) => `account-${n}`);

/** `fromStart`: the accounts were added by a version that notes when mail is handed in. */
const listed = (outbox: MemoryOutbox, fromStart = true) =>
  accountsWithMail(
    outbox.context,
    [...outbox.accounts.keys()].map((name) => ({ name, fromStart })),
    options,
  );

/** A page of all mail, its ids, and how often storage was asked for it. */
async function page(outbox: MemoryOutbox, top: number, fromStart = true) {
  const before = outbox.rows.requests;
  const { records } = await findInAccounts(outbox.context, await listed(outbox, fromStart), { ...options, top });
  const ids = records.map(({ account, localId }) => `${account}.${localId}`);
  return { ids, requests: outbox.rows.requests - before };
}

function outboxOfMany(): MemoryOutbox {
  const outbox = new MemoryOutbox();
  for (const name of names) outbox.account({ name });
  return outbox;
}

/** A mail that has ended, and two minutes later the timer, which finds nothing open. */
async function sendOne(outbox: MemoryOutbox, account: string): Promise<string> {
  const id = await outbox.accept({ account, status: 'sent' });
  await outbox.rows.write(account, [{ kind: 'delete', key: openKey(id.split('.')[1] ?? '') }]);
  outbox.now += 2 * minute;
  await recover(outbox.context, options);
  return id;
}

describe('the newest mails of many accounts', () => {
  it('are found by reading one account where one alone has mail', async () => {
    const outbox = outboxOfMany();
    const waiting = await outbox.accept({ account: 'account-7' });
    expect(await page(outbox, 50)).toEqual({ ids: [waiting], requests: 2 });
    outbox.now += minute;
    const sent = await sendOne(outbox, 'account-9');
    expect(await page(outbox, 50)).toEqual({ ids: [sent, waiting], requests: 3 });
  });

  it('are found by reading the accounts that were handed mail last, and all of it comes page by page', async () => {
    const outbox = outboxOfMany();
    const ids: string[] = [];
    for (const name of names) ids.unshift(await sendOne(outbox, name));
    const newest = await page(outbox, 5);
    expect(newest.ids).toEqual(ids.slice(0, 5));
    // Sixteen are read at a time; how old the others are is known when these have answered.
    expect(newest.requests).toBeLessThanOrEqual(1 + 2 * 16);
    expect((await page(outbox, 100)).ids).toEqual(ids);
  });

  it('are found although two processes have clocks that differ by an hour', async () => {
    const outbox = outboxOfMany();
    outbox.now += 60 * minute;
    const ahead = await outbox.accept({ account: 'account-1', status: 'sent' });
    outbox.now -= 60 * minute;
    await outbox.rows.write('account-1', [{ kind: 'delete', key: openKey(ahead.split('.')[1] ?? '') }]);
    for (let n = 0; n < 5; n += 1) {
      await sendOne(outbox, 'account-1');
      await sendOne(outbox, `account-${n + 10}`);
    }
    expect((await page(outbox, 2)).ids[0]).toBe(ahead);
  });

  it('of an earlier version are found at once, and an hour later without reading all accounts', async () => {
    const outbox = outboxOfMany();
    const id = await sendOne(outbox, 'account-3');
    // The earlier version has written no note.
    for (const key of outbox.rows.keys('!open')) await outbox.rows.write('!open', [{ kind: 'delete', key }]);
    const before = await page(outbox, 50, false);
    expect(before.ids).toEqual([id]);
    expect(before.requests).toBeGreaterThan(100);
    await recoverEverywhere(outbox.context, options);
    const after = await page(outbox, 1, false);
    expect(after.ids).toEqual([id]);
  });

  it('are right again within the hour where an earlier version has closed an account without a note', async () => {
    const outbox = outboxOfMany();
    await sendOne(outbox, 'account-3');
    const later = await outbox.accept({ account: 'account-3', status: 'sent' });
    await outbox.rows.write('account-3', [{ kind: 'delete', key: openKey(later.split('.')[1] ?? '') }]);
    await outbox.rows.write('!open', [{ kind: 'delete', key: 'account-3' }]);
    for (let n = 10; n < 30; n += 1) await sendOne(outbox, `account-${n}`);
    await recoverEverywhere(outbox.context, options);
    outbox.now += minute;
    expect((await page(outbox, 100)).ids).toContain(later);
  });

  it('since an instant are looked for where mail was handed in since', async () => {
    const outbox = outboxOfMany();
    for (const name of names.slice(0, 50)) await sendOne(outbox, name);
    const since = outbox.now;
    const id = await sendOne(outbox, 'account-99');
    const before = outbox.rows.requests;
    const { records } = await findInAccounts(outbox.context, await listed(outbox), { ...options, top: 50, since });
    expect(records.map(({ account, localId }) => `${account}.${localId}`)).toEqual([id]);
    expect(outbox.rows.requests - before).toBeLessThanOrEqual(3);
  });
});
