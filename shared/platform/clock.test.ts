import { expect, it } from 'vitest';
import { sleep } from './clock.ts';

it("rejects with the signal's own reason, before and during the wait", async () => {
  const reason = new TypeError('no time left');
  const cut = new AbortController();
  const waiting = sleep(3_600_000, cut.signal);
  cut.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(sleep(3_600_000, cut.signal)).rejects.toBe(reason);
  await sleep(0, new AbortController().signal);
});
