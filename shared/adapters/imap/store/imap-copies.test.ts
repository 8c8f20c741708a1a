import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Dovecot, startDovecot } from '../../../../test/support/dovecot.ts';
import { imapStore } from '../../../../test/support/imap-fixture.ts';
import { namesUid, startRefusingProxy } from '../../../../test/support/refusing-proxy.ts';
import { startStallProxy } from '../../../../test/support/stall-proxy.ts';
import { allMails, mail, never } from '../../../../test/support/store-helpers.ts';
import { type Disposal, type DisposalTarget, type ListedMail, StoreError } from '../../store.ts';

/** On a server without MOVE a move is a copy and then a removal: what fails between the two must not copy twice. */

let dovecot: Dovecot;

beforeAll(async () => {
  dovecot = await startDovecot({ users: { refused: 'secret', lost: 'secret', changed: 'secret' } });
});
afterAll(() => dovecot?.remove());

const move = (folder: string): Disposal => ({ action: 'move', folder });
const target = ({ source, folder }: ListedMail): DisposalTarget => ({ source, folder });

async function site(user: string) {
  const stall = await startStallProxy({ host: dovecot.host, port: dovecot.ports.imap, hideCapabilities: ['MOVE'] });
  const proxy = await startRefusingProxy({ host: '127.0.0.1', port: stall.port });
  const witness = await dovecot.client(user);
  for (const folder of ['Done', 'Other']) await witness.createFolder(folder);
  for (const subject of ['first', 'second']) await witness.append('INBOX', mail(subject));
  const auth = { type: 'password', user, secret: 'x-imap' };
  const store = imapStore({ port: proxy.port, tls: { starttls: 'never' }, auth });
  return {
    stall,
    proxy,
    open: () => store.open({ signal: never }),
    uids: async (folder: string) => await witness.uids(folder),
    async stop() {
      await witness.close();
      await proxy.stop();
      await stall.stop();
    },
  };
}

const options = { signal: never, verify: true };

it('a mail whose removal is refused after its copy is copied once, and only removed by the next try', async () => {
  const { proxy, open, uids, stop } = await site('refused');
  const session = await open();
  const mails = (await allMails(session.list('INBOX', { signal: never, pageSize: 10 }))).map(target);
  proxy.refuse((line) => {
    const [tag, , command, set = ''] = line.split(' ');
    return command === 'STORE' && namesUid(set, 1) ? `${tag} CREATE INBOX` : undefined;
  });
  const [first, second] = await session.dispose(mails, move('Done'), options);
  expect(first).toEqual({ refused: expect.any(StoreError), copiedTo: 'Done' });
  expect(second).toBe('done');
  proxy.refuse(() => undefined);
  const again = mails.slice(0, 1).map((each) => ({ ...each, copiedTo: 'Done' }));
  expect(await session.dispose(again, move('Done'), options)).toEqual(['done']);
  await session.close();
  expect(await uids('Done')).toHaveLength(2);
  expect(await uids('INBOX')).toEqual([]);
  await stop();
});

it('where the line is lost between copy and removal, the answer says that the mails are copied', async () => {
  const { stall, open, uids, stop } = await site('lost');
  const session = await open();
  const mails = (await allMails(session.list('INBOX', { signal: never, pageSize: 10 }))).map(target);
  stall.trouble({ direction: 'toServer', at: 'UID STORE', action: 'cut' });
  const outcome = { refused: expect.objectContaining({ kind: 'connection' }), unanswered: true, copiedTo: 'Done' };
  expect(await session.dispose(mails, move('Done'), options)).toEqual([outcome, outcome]);
  await session.close();
  stall.reset();
  const later = await open();
  const again = mails.map((each) => ({ ...each, copiedTo: 'Done' }));
  expect(await later.dispose(again, move('Done'), options)).toEqual(['done', 'done']);
  await later.close();
  expect(await uids('Done')).toHaveLength(2);
  expect(await uids('INBOX')).toEqual([]);
  await stop();
});

it('a copy in another folder than the one to move to is no copy', async () => {
  const { open, uids, stop } = await site('changed');
  const session = await open();
  const mails = (await allMails(session.list('INBOX', { signal: never, pageSize: 10 }))).map(target);
  const before = mails.map((each) => ({ ...each, copiedTo: 'Done' }));
  expect(await session.dispose(before, move('Other'), options)).toEqual(['done', 'done']);
  await session.close();
  expect(await uids('Other')).toHaveLength(2);
  await stop();
});
