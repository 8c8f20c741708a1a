import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { fakeMail, importOnce, TestInbox } from '../inbox.test-support.ts';

it('a large mail that holds the session does not keep the reconcile from listing the folder', async () => {
  const inbox = new TestInbox({});
  inbox.store.mails = [1, 2, 3].map((n) => fakeMail(n));
  expect(await importOnce(inbox)).toMatchObject({ imported: 3 });
  inbox.store.scopeName = 'INBOX;8';
  const { open } = inbox.store;
  inbox.store.open = async (options) => {
    const session = await open.call(inbox.store, options);
    const { fetch, list } = session;
    let held = Promise.resolve();
    session.list = async function* (folder, how) {
      await held;
      yield* list(folder, how);
    };
    session.fetch = async function* (wanted, how) {
      for await (const one of fetch(wanted, how)) {
        const stream = Readable.from([one.content.kind === 'bytes' ? one.content.bytes : '']);
        held = new Promise((resolve) => stream.once('close', resolve));
        yield { mail: one.mail, content: { kind: 'stream', stream } };
        await held;
      }
    };
    return session;
  };
  expect(await importOnce(inbox)).toMatchObject({ status: 'done', imported: 0, skipped: 3 });
});
