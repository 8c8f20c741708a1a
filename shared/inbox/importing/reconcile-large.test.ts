import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { fakeMail, TestInbox } from '../inbox.test-support.ts';
import type { Run } from '../ledger/runs.ts';
import { readTurn } from '../session/turn-row.ts';
import { runImport } from './run.ts';

async function importOnce(inbox: TestInbox): Promise<Run> {
  inbox.now += 1_000;
  await runImport(inbox.context, inbox.name, {});
  const { last } = await readTurn(inbox.context, inbox.name);
  if (!last) throw new Error('no run');
  return last;
}

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
