import { type AnswerProxy, startAnswerProxy } from './answer-proxy.ts';

export interface SlowProxy extends AnswerProxy {
  /** From the next answer on that holds `text`, a connection gives so many bytes a second, until it is closed. */
  slowAt(text: string, bytesPerSecond: number): void;
}

const everyMs = 50;

/** A way to a server that becomes slow, but never silent, at a mail that a test names. */
export async function startSlowProxy(target: { readonly host: string; readonly port: number }): Promise<SlowProxy> {
  let slow: { readonly text: string; readonly bytesPerSecond: number } | undefined;
  const proxy = await startAnswerProxy(target, (client) => {
    let held = Buffer.alloc(0);
    let timer: NodeJS.Timeout | undefined;
    const drip = (bytes: number) => {
      client.write(held.subarray(0, bytes));
      held = held.subarray(bytes);
    };
    return (chunk) => {
      if (timer === undefined && slow && chunk.includes(slow.text)) {
        const bytes = Math.ceil((slow.bytesPerSecond * everyMs) / 1_000);
        timer = setInterval(() => drip(bytes), everyMs);
        client.once('close', () => clearInterval(timer));
      }
      if (timer === undefined) client.write(chunk);
      else held = Buffer.concat([held, chunk]);
    };
  });
  return {
    ...proxy,
    slowAt: (text, bytesPerSecond) => {
      slow = { text, bytesPerSecond };
    },
  };
}
