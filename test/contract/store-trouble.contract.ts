import { describe, expect, it } from 'vitest';
import { contentBytes, fetchAll, mail, never } from '../support/store-helpers.ts';
import { type ContractTools, failure } from './store-contract-tools.ts';

/** What a store makes of servers and callers that do not behave. */
export function troubleContract({ fixture, round, deliver }: ContractTools): void {
  describe('trouble', () => {
    it('says signIn when the password is refused, and never says the password', async () => {
      const error = await failure(fixture().storeWithWrongPassword().open({ signal: never }));
      expect(error.kind).toBe('signIn');
      expect(error.hint).toBeTruthy();
      expect(JSON.stringify([error.message, error.hint, error.stack, error.cause])).not.toContain('wrong-password');
    });

    it('says connection and the code when nothing listens', async () => {
      const error = await failure(fixture().storeAtClosedPort().open({ signal: never }));
      expect(error).toMatchObject({ kind: 'connection', code: 'ECONNREFUSED' });
      expect(error.hint).toBeTruthy();
    });

    for (const moment of ['greeting', 'signIn', 'listing', 'body'] as const) {
      it(`gives up within its limit when the server falls silent: ${moment}`, async () => {
        await deliver('one');
        await fixture().deliver(mail('two', `${'y'.repeat(70)}\r\n`.repeat(20_000)));
        const store = await fixture().storeFallingSilent(moment);
        const error = await failure(
          (async () => {
            const session = await store.open({ signal: never });
            try {
              const { mails } = await round(session);
              await fetchAll(session, mails);
            } finally {
              await session.close();
            }
          })(),
        );
        expect(error.kind).toBe('connection');
      });
    }

    it('ends at once when the caller aborts', async () => {
      await deliver('one');
      const controller = new AbortController();
      const store = await fixture().storeFallingSilent('greeting');
      const opening = failure(store.open({ signal: controller.signal }));
      controller.abort();
      expect((await opening).kind).toBe('connection');

      const session = await fixture().store().open({ signal: never });
      const { mails } = await round(session);
      const aborted = AbortSignal.abort();
      const reading = (async () => {
        for await (const one of session.fetch(mails, { signal: aborted })) await contentBytes(one.content);
      })();
      expect((await failure(reading)).kind).toBe('connection');
      await session.close();
    });

    it('throws nothing else than StoreError once it is closed, and closes twice', async () => {
      const session = await fixture().store().open({ signal: never });
      await session.close();
      await session.close();
      await failure(session.scope(fixture().folder, never));
      await failure(session.folders([], never));
      await failure(round(session));
    });
  });
}
