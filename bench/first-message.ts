import type { Mailroom } from '../test/support/mailroom.ts';
import { withStarted } from './started.ts';
import { startMailroom } from './storage.ts';

/** Milliseconds that calls of `POST /messages` took, from the call to 202, in each of some cold processes. */
export interface FirstMessages {
  /** Made as soon as the host has loaded the app. */
  readonly first: number[];
  /** The one right after it, in the same process. */
  readonly second: number[];
}

/** The first message that a cold process accepts. Deliveries are off: Azure makes them in other instances. */
export async function firstMessages(rounds: number): Promise<FirstMessages> {
  const env = {
    'AzureWebJobs.mail-send.Disabled': 'true',
    // Azure starts an app without code that was compiled before.
    NODE_COMPILE_CACHE: undefined,
  };
  return await withStarted(async (started) => {
    const mailroom = await started.add(startMailroom('tuned', { env }), (part) => part.stop());
    const transport = { protocol: 'sink' };
    await mailroom.expect(201, 'PUT', '/api/accounts/corpus', { body: { from: 'corpus@example.com', transport } });
    // The caller and storage are warm: they are no part of the process.
    await timeMessage(mailroom);
    const took: FirstMessages = { first: [], second: [] };
    for (let round = 0; round < rounds; round += 1) {
      await mailroom.kill();
      // Returns as the app has loaded and is listened for.
      await mailroom.run();
      took.first.push(await timeMessage(mailroom));
      took.second.push(await timeMessage(mailroom));
    }
    return took;
  });
}

async function timeMessage(mailroom: Mailroom): Promise<number> {
  const body = JSON.stringify({ to: 'reader@example.net', subject: 'Message', text: 'Dear reader, ...' });
  const headers = { ...mailroom.keyHeader, 'content-type': 'application/json' };
  const began = performance.now();
  const answer = await fetch(`${mailroom.url}/api/messages`, { method: 'POST', headers, body });
  await answer.arrayBuffer();
  if (answer.status !== 202) throw new Error(`a mail was answered ${answer.status}`);
  return performance.now() - began;
}
