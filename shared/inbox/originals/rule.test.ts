import { describe, expect, it } from 'vitest';
import { resolveAccount } from '../../accounts/rules.ts';
import { disposals, dueAt, dueDisposal } from './rule.ts';

const dayMs = 24 * 3_600_000;
const auth = { type: 'password', user: 'u', secret: 'test-imap' };

/** An account with such a rule, and whether it is enabled. */
function account(rule: Readonly<Record<string, unknown>>, enabled = true) {
  const store = { protocol: 'imap', host: 'mail.example.com', auth };
  return resolveAccount('test', { from: 'a@example.com', store, import: rule, enabled }).account;
}

const markRead = { action: 'markRead' };
const trash = { delete: 'immediately', deleteMode: 'trash' };
const permanent = { delete: 'immediately', deleteMode: 'permanent' };

describe('right after the check-in', () => {
  it.each<[string, Readonly<Record<string, unknown>>, readonly unknown[], readonly unknown[]]>([
    ['nothing', { markRead: false }, [], []],
    ['marked', {}, [markRead], [markRead]],
    ['deleted for good, and not marked before', permanent, [{ action: 'delete', mode: 'permanent' }], [markRead]],
    ['marked and put into the trash', trash, [markRead, { action: 'delete', mode: 'trash' }], [markRead]],
    ['deleted alone', { ...trash, markRead: false }, [{ action: 'delete', mode: 'trash' }], []],
    ['marked and moved', { moveTo: 'Done' }, [markRead, { action: 'move', folder: 'Done' }], [markRead]],
    ['left for days', { delete: { afterDays: 3 }, markRead: false }, [], []],
  ])('an original is %s; one that is kept is marked at most', (_, rule, wanted, kept) => {
    expect(disposals(account(rule), { markRead: true }, false)).toEqual(wanted);
    expect(disposals(account(rule), { markRead: true }, true)).toEqual(kept);
  });

  it('nothing is marked where the protocol has no read state', () => {
    expect(disposals(account({}), { markRead: false }, false)).toEqual([]);
    expect(disposals(account({ moveTo: 'Done' }), { markRead: false }, false)).toEqual([
      { action: 'move', folder: 'Done' },
    ]);
  });
});

describe('N days after it', () => {
  it.each([
    [{ delete: { afterDays: 3 } }, 1_000 + 3 * dayMs],
    [{ delete: 'immediately' }, undefined],
    [{ delete: 'never' }, undefined],
  ])('%j is due at %s', (rule, at) => {
    expect(dueAt(account(rule), 1_000)).toBe(at);
  });

  it.each([
    [{ delete: { afterDays: 3 }, deleteMode: 'trash' }, true, { action: 'delete', mode: 'trash' }],
    [{ delete: { afterDays: 9 } }, true, { action: 'delete', mode: 'permanent' }],
    [{ delete: 'immediately' }, true, { action: 'delete', mode: 'permanent' }],
    [{ delete: 'never' }, true, undefined],
    [{ delete: { afterDays: 3 } }, false, undefined],
  ])('what is due, by the rule %j, enabled %s, is %j', (rule, enabled, wanted) => {
    expect(dueDisposal(account(rule, enabled))).toEqual(wanted);
  });
});
