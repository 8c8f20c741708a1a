import { expect, it } from 'vitest';
import { spentBuffers } from './spent-buffers.ts';

it('keeps buffers that nobody needs from becoming many while a large mail passes', async () => {
  const piece = 64 << 10;
  const most = async (passed: (bytes: number) => void) => {
    let held = 0;
    for (let at = 0; at < 200 << 20; at += piece) {
      Buffer.allocUnsafeSlow(piece).fill(1);
      passed(piece);
      // Buffers are given back by a thread of its own.
      await new Promise((resolve) => setImmediate(resolve));
      held = Math.max(held, process.memoryUsage().arrayBuffers);
    }
    return held;
  };
  const without = await most(() => undefined);
  const held = await most(spentBuffers);
  expect(held).toBeLessThan(without / 2);
});
